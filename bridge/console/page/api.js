// Asks the server; every error has a message for people.
export class ApiError extends Error {
  constructor(message, status, job) {
    super(message);
    this.status = status;
    this.job = job; // What goes on already, where that is why.
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, {credentials: "same-origin", ...options});
  } catch {
    throw new ApiError("", 0);
  }
  let content = null;
  try {
    content = await response.json();
  } catch {
    // Not ours: a proxy's, perhaps.
  }
  if (!response.ok) throw new ApiError(content?.error ?? `${response.status} ${response.statusText}`, response.status, content?.job);
  return content;
}

export function query(given) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) {
    if (value !== "" && value !== false && value !== null && value !== undefined) parameters.set(name, String(value));
  }
  return String(parameters);
}

export const get = (path, given = {}) => {
  const parameters = query(given);
  return ask(parameters ? `${path}?${parameters}` : path);
};

const change = (method) => (path, body = {}) =>
  ask(path, {
    method,
    headers: {"Content-Type": "application/json", "X-Im-Bridge-Console": "1"},
    body: JSON.stringify(body),
  });
export const post = change("POST");
export const remove = change("DELETE");
