// JSON of which whole numbers beyond 2^53 stay as they were written, where the browser can do so.
const kept = (_, value, context) =>
  typeof value === "number" && !Number.isSafeInteger(value) && JSON.rawJSON && /^-?\d+$/.test(context?.source ?? "") ? JSON.rawJSON(context.source) : value;
export const parsed = (text) => JSON.parse(text, kept);
export const pretty = (value) => JSON.stringify(value, null, 2);
// Of a text, a number, or a number as it was written.
export const written = (value) => value?.rawJSON ?? value;
