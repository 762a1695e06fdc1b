// Every documented callback as a form; for development.
import {html, useEffect, useRef, useState} from "./html.js";
import {get, post} from "./api.js";
import {parsed, pretty, written} from "./exact.js";
import {meaning, t} from "./i18n.js";
import {Note, Problem, told, useFetched, useFocus} from "./parts.js";
import {LiveRow} from "./live.js";
import {Detail} from "./detail.js";

export function SendView({access, at, onSignIn}) {
  const {value: commands, error} = useFetched("api/commands");
  const [search, setSearch] = useState("");
  const input = useRef();
  useFocus(input, !at.given.command);
  const wanted = search.trim().toLowerCase();
  const fitting = (commands ?? []).filter((one) => `${one.command} ${one.type} ${meaning(one.meaning)} ${one.meaning}`.toLowerCase().includes(wanted));
  const [entered, setEntered] = useState(false);
  const first = (event) => {
    event.preventDefault();
    setEntered(true);
  };
  useEffect(() => {
    // Not in `first`, which may have the list of before the last key, or none yet.
    if (!entered || !commands) return;
    setEntered(false);
    if (fitting.length) location.hash = `#/send?command=${encodeURIComponent(fitting[0].command)}`;
  }, [entered, commands]);
  return html`
    <h1 class="hidden">${t("send")}</h1>
    ${!access.can_send && html`<${Note}>${t("send_off")}<//>`}
    ${error && html`<${Problem}>${told(error)}<//>`}
    <div class="send">
      <section aria-label=${t("callbacks")}>
        <form onSubmit=${first}><label>${t("search")}<input type="search" ref=${input} value=${search} onInput=${(event) => setSearch(event.target.value)}/></label></form>
        ${commands && fitting.length === 0 && html`<p class="nothing">${t("no_callback_fits")}</p>`}
        <ul class="commands">${fitting.map((one) => html`<li key=${one.command}><a href=${`#/send?command=${encodeURIComponent(one.command)}`} aria-current=${at.given.command === one.command ? "true" : undefined}>${one.command}<small>${meaning(one.meaning)}</small></a></li>`)}</ul>
      </section>
      <section>${at.given.command ? html`<${Form} key=${`${at.given.command}/${at.given.again}`} command=${at.given.command} again=${at.given.again} access=${access} onSignIn=${onSignIn}/>` : html`<p class="nothing">${t("choose_callback")}</p>`}</section>
    </div>`;
}

function sampleToRepeat(command) {
  try {
    const kept = JSON.parse(sessionStorage.getItem("im-bridge-sample"));
    return kept?.command === command ? kept.body : null;
  } catch {
    return null;
  }
}

function Form({command, again: repeats, access, onSignIn}) {
  const [form, setForm] = useState(null);
  const [text, setText] = useState("");
  const [error, setError] = useState(null);
  const [posted, setPosted] = useState(null);
  const [busy, setBusy] = useState(false);
  const [opened, setOpened] = useState(null);
  const again = useRef(0);
  const renew = async () => {
    try {
      const found = await get(`api/commands/${encodeURIComponent(command)}`);
      setForm(found);
      setText((repeats && sampleToRepeat(command)) || pretty(found.body));
      setError(null);
    } catch (failure) {
      setError(failure);
      if (failure.status === 0) again.current = setTimeout(renew, 2000);
    }
  };
  useEffect(() => {
    renew();
    return () => clearTimeout(again.current);
  }, []);
  const fields = useRef();
  useEffect(() => {
    // The name that is about to be changed: one types it, and presses Enter.
    const about = form?.about && [...fields.current.querySelectorAll("input")].find((one) => one.name === form.about);
    about?.focus();
    about?.select();
  }, [form]);
  const read = () => {
    try {
      return [parsed(text), null];
    } catch (failure) {
      return [null, failure.message];
    }
  };
  const [body, problem] = read();
  const send = async (event) => {
    event.preventDefault();
    if (access.right !== "change") return onSignIn();
    setBusy(true);
    setPosted(null);
    try {
      setPosted(await post("api/send", {command: form.command, body}));
      setError(null);
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  const one = form?.batch ? body?.[form.batch]?.[0] : body;
  const set = (name, value) => {
    const changed = {...one, [name]: value};
    if (value === undefined) delete changed[name];
    setText(pretty(form.batch ? {...body, [form.batch]: [changed, ...body[form.batch].slice(1)]} : changed));
  };
  if (!form) return error && html`<${Problem}>${told(error)}<//>`;
  return html`<form onSubmit=${send}>
    <h2>${form.command}</h2>
    <p>${meaning(form.meaning)} ${form.awaits_answer && html`<mark>${t("awaits")}</mark>`}</p>
    <div class="fields-form" ref=${fields}>${form.fields.map((field) => html`<${FormField} key=${field.name} field=${field} value=${written(one?.[field.name])} onChange=${set}/>`)}</div>
    <label>${t("body_json")}<textarea rows="10" spellcheck="false" class="code" value=${text} aria-invalid=${problem ? "true" : undefined} onInput=${(event) => setText(event.target.value)}></textarea></label>
    ${problem && html`<${Problem}>${t("bad_json", {why: problem})}<//>`}
    ${error && html`<${Problem}>${told(error)}<//>`}
    <p class="buttons"><button type="submit" disabled=${Boolean(problem) || busy || !access.can_send} aria-busy=${busy}>${t("post_it")}</button>
      <button type="button" class="secondary" onClick=${renew}>${t("new_sample")}</button></p>
    ${posted && html`<section role="status"><h3>${t("posted")}</h3>
      <p class=${posted.accepted ? "good-text" : "bad-text"}><strong>${posted.status} ${posted.reason}</strong> ${posted.took_ms} ms <code>${posted.reply}</code></p>
      ${posted.event ? html`<h3>${t("became")}</h3><div class="scroll"><table class="rows"><tbody><${LiveRow} row=${posted.event} onOpen=${setOpened}/></tbody></table></div>` : posted.accepted && html`<p>${t("no_event_seen")}</p>`}</section>`}
    ${opened && html`<${Detail} row=${opened} access=${access} onClose=${() => setOpened(null)}/>`}
  </form>`;
}

function FormField({field, value, onChange}) {
  if (field.form === "json") return null;
  const hint = `${meaning(field.meaning)}${field.optional ? ` (${t("optional")})` : ""}`;
  const isText = field.form === "text" || (value !== undefined && typeof value === "string");
  const changed = (event) => {
    const given = event.target.value;
    if (given === "" && field.optional) return onChange(field.name, undefined);
    const asNumber = Number(given);
    return onChange(field.name, isText || given === "" || Number.isNaN(asNumber) ? given : /^-?[1-9]\d*$/.test(given) ? parsed(given) : asNumber);
  };
  if (field.form === "yes_no") {
    return html`<label title=${hint}>${field.name}<select value=${value === undefined ? "" : String(Boolean(value))} onChange=${(event) => onChange(field.name, event.target.value === "" ? undefined : typeof value === "number" ? Number(event.target.value === "true") : event.target.value === "true")}>
      <option value="">–</option><option value="true">${t("yes")}</option><option value="false">${t("no")}</option></select></label>`;
  }
  return html`<label title=${hint}>${field.name}<input type=${isText ? "text" : "number"} name=${field.name} value=${value ?? ""} onInput=${changed}/></label>`;
}
