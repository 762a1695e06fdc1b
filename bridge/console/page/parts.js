// Small things that several views are made of.
import {html, useEffect, useRef, useState} from "./html.js";
import {t} from "./i18n.js";
import {get} from "./api.js";

const AGAIN_MS = 2000;

export const Problem = ({children, what}) =>
  html`<article class="problem" role="alert"><strong>${what ?? t("problem")}</strong> ${children}</article>`;

export const Note = ({children}) => html`<p class="note" role="status">${children}</p>`;

// Seen only where it takes long: the server waits for who does not answer.
export const Asking = () => html`<p class="nothing asking" role="status" aria-busy="true">${t("asking")}</p>`;

// What went wrong, in words: where no answer came, the server is away.
export const told = (error) => (error.status === 0 ? t("server_away") : error.message);

export function Copy({text, label}) {
  const [done, setDone] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(t("copied"));
    } catch {
      setDone(t("copy_by_hand"));
    }
    setTimeout(() => setDone(""), 2000);
  };
  return html`<button type="button" class="small secondary" onClick=${copy}>${done || label}</button>`;
}

export const Text = ({value}) => html`<pre class="code" tabindex="0"><code>${value}</code></pre>`;

export function Facts({rows}) {
  const known = rows.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return html`<dl class="facts">${known.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

// Closed by Escape, which the browser does; what was in focus before is so again.
export function Dialog({title, onClose, children}) {
  const dialog = useRef();
  useEffect(() => {
    if (!dialog.current.open) dialog.current.showModal();
  }, []);
  return html`<dialog ref=${dialog} aria-label=${title} onClose=${onClose}>
    <article class="whole">
      <header>
        <button type="button" aria-label=${t("close")} class="shut" onClick=${() => dialog.current.close()}>✕</button>
        <h2>${title}</h2>
      </header>
      ${children}
    </article>
  </dialog>`;
}

// Whoever comes by a key goes on by keys, and would not get out of a field that has the focus at once.
export const arrival = {byKey: false};
export function useFocus(input, isWished) {
  useEffect(() => {
    if (isWished && !arrival.byKey) input.current.focus();
  }, []);
}

// Asks once, and again until there is an answer: the server, or what it asks, may be away. Anew when `turn` changes.
export function useFetched(path, turn = 0) {
  const [state, setState] = useState({value: null, error: null});
  useEffect(() => {
    let timer = 0;
    let over = false;
    const look = async () => {
      try {
        const value = await get(path);
        if (!over) setState({value, error: null});
      } catch (error) {
        if (over) return;
        setState((before) => ({value: before.value, error}));
        if (error.status === 0 || error.status >= 500) timer = setTimeout(look, AGAIN_MS);
      }
    };
    look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [path, turn]);
  return state;
}

// Asks again and again while the page is looked at. What was last known stays while nobody answers.
export function usePolled(path, given, everyMs) {
  const [state, setState] = useState({value: null, error: null});
  const asked = JSON.stringify(given);
  useEffect(() => {
    let timer = 0;
    let over = false;
    const look = async () => {
      if (!document.hidden) {
        try {
          const value = await get(path, given);
          if (!over) setState({value, error: null});
        } catch (error) {
          if (!over) setState((before) => ({value: before.value, error}));
        }
      }
      if (!over) timer = setTimeout(look, everyMs);
    };
    look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [path, asked, everyMs]);
  return state;
}
