// The dead letters: why, one whole, and what to do about them.
import {html, useEffect, useRef, useState} from "./html.js";
import {get, post, query, remove} from "./api.js";
import {clock, exactly, number} from "./format.js";
import {t} from "./i18n.js";
import {Asking, Copy, Dialog, Facts, Note, Problem, Text, told, useFetched} from "./parts.js";
import {Headers} from "./detail.js";

const INGRESS = "ingress";
const LOOK_MS = 5000;
const JOB_MS = 300;
const NO_FILTER = {group: "", reason: "", type: "", command: "", account: "", since: "", all: false};

export function LettersView({access, at, onSignIn}) {
  const [filter, setFilter] = useState({...NO_FILTER, ...at.given});
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const [seen, setSeen] = useState(0);
  const [work, setWork] = useState(null);
  const name = at.rest[0];
  useEffect(() => {
    if (Object.keys(at.given).length) setFilter({...NO_FILTER, ...at.given});
  }, [JSON.stringify(at.given)]);
  useEffect(() => {
    let over = false;
    let timer = 0;
    const look = async () => {
      if (!document.hidden) {
        try {
          const letters = await get("api/letters", filter);
          if (over) return;
          setFound(letters);
          setError(null);
        } catch (failure) {
          if (over) return;
          setError(failure);
        }
      }
      timer = setTimeout(look, LOOK_MS);
    };
    timer = setTimeout(look, 200);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [JSON.stringify(filter), seen]);

  const input = (field, hint, title) => html`<label title=${title}>${t(field)}<input type="search" placeholder=${hint} value=${filter[field]} onInput=${(event) => setFilter({...filter, [field]: event.target.value})}/></label>`;
  const may = access.right === "change";
  const begin = (kind, chosen, worker) => (may ? setWork({kind, chosen, worker}) : onSignIn());
  const worker = workerOf(filter.group, access);
  const chosen = Object.fromEntries(Object.entries(filter).filter(([field, value]) => field !== "all" && value));
  return html`
    <h1 class="hidden">${t("letters")}</h1>
    <form class="filters" aria-label=${t("filters")} onSubmit=${(event) => event.preventDefault()}>
      ${input("group")}${input("reason")}${input("type", "im.c2c.*")}${input("account")}${input("since", "2h, 7d", t("since_hint"))}
      <label class="check"><input type="checkbox" role="switch" checked=${filter.all} onChange=${(event) => setFilter({...filter, all: event.target.checked})}/>${t("done_too")}</label>
      <span class="buttons">
        <button type="button" class="small secondary" onClick=${() => setFilter(NO_FILTER)}>${t("clear")}</button>
        <a role="button" class="small secondary" download="dead-letters.ndjson" href=${`api/letters/export?${query(filter)}`}>${t("export")}</a>
        <button type="button" class="small" disabled=${!worker || !found?.count} title=${t("choose_group")} onClick=${() => begin("replay", chosen, worker)}>${t("replay_these")}</button>
        <button type="button" class="small contrast" disabled=${!found?.count} onClick=${() => begin("drop", chosen)}>${t("drop_these")}</button>
      </span>
    </form>
    ${error ? html`<${Problem}>${told(error)}<//>` : !found && html`<${Asking}/>`}
    ${found && html`
      <p role="status">${t("letters_count", {n: number(found.count)})}${found.count > found.letters.length ? `, ${t("letters_shown", {n: found.letters.length})}` : ""}</p>
      ${!found.is_complete && html`<${Note}>${t("letters_incomplete")}<//>`}
      ${found.groups.length > 0 && html`<p class="chips" aria-label=${t("reasons")}>${found.groups.map(([group, reason, count]) => html`
        <button key=${`${group}/${reason}`} type="button" class="chip" aria-pressed=${filter.group === group && filter.reason === reason}
          onClick=${() => setFilter({...filter, group, reason})}>${group} · ${reason} <strong>${number(count)}</strong></button>`)}</p>`}
      ${found.letters.length === 0 ? html`<p class="nothing">${t(Object.keys(chosen).length ? "no_letters_fit" : "no_letters")}</p>` : html`
        <div class="scroll"><table class="rows letters"><thead><tr>${["time", "letter_column", "group", "reason", "type", "subject", "detail"].map((column) => html`<th key=${column} scope="col">${t(column)}</th>`)}</tr></thead>
        <tbody>${found.letters.map((letter) => html`<tr key=${letter.name} class="letter" onClick=${() => { location.hash = `#/letters/${letter.name}`; }}>
          <td title=${exactly(letter.time)}>${clock(letter.time)}</td><td><a href=${`#/letters/${letter.name}`}>${letter.name}</a>${letter.state === "open" ? "" : ` ${t(`state_${letter.state}`)}`}</td>
          <td>${letter.group}</td><td>${letter.reason}</td><td>${letter.what}</td><td class="subject">${letter.subject}</td><td class="fields">${letter.detail}</td></tr>`)}</tbody></table></div>`}`}
    ${name && html`<${OpenedLetter} key=${name} name=${name} access=${access} onSignIn=${onSignIn} onClose=${() => { location.hash = "#/letters"; setSeen((before) => before + 1); }}/>`}
    ${work && html`<${Work} ...${work} onClose=${() => { setWork(null); setSeen(seen + 1); }}/>`}`;
}

const workerOf = (group, access) => (group === INGRESS ? INGRESS : Object.hasOwn(access.workers, group) ? access.workers[group] : "");

// A letter whole, and what is done about it.
export function OpenedLetter({name, access, onSignIn, onClose}) {
  const [seen, setSeen] = useState(0);
  const [work, setWork] = useState(null);
  const begin = (kind, worker) => (access.right === "change" ? setWork({kind, worker, chosen: {letter: name}}) : onSignIn());
  return html`
    <${Letter} name=${name} seen=${seen} access=${access} onClose=${onClose} onReplay=${(worker) => begin("replay", worker)} onDrop=${() => begin("drop")}/>
    ${work && html`<${Work} ...${work} onClose=${() => { setWork(null); setSeen(seen + 1); }}/>`}`;
}

function Letter({name, seen, access, onClose, onReplay, onDrop}) {
  const {value: found, error} = useFetched(`api/letters/${encodeURIComponent(name)}`, seen);
  const letter = found?.letter;
  const record = found?.record;
  const traceback = record?.headers.find(([header]) => header === "traceback")?.[1];
  const worker = letter && workerOf(letter.group, access);
  return html`<${Dialog} title=${t("letter", {name})} onClose=${onClose}>
    ${error ? html`<${Problem}>${told(error)}<//>` : !found && html`<${Asking}/>`}
    ${letter && html`
      <p class="buttons">
        <button type="button" class="small" disabled=${letter.state !== "open" || !worker} onClick=${() => onReplay(worker)}>${t("replay")}</button>
        <button type="button" class="small contrast" disabled=${letter.state !== "open"} onClick=${onDrop}>${t("drop")}</button>
        ${record.base64 && html`<${Copy} text=${record.base64} label="Base64"/>`}
      </p>
      ${!worker && html`<${Note}>${t("no_worker_for", {group: letter.group})}<//>`}
      <${Facts} rows=${[
        [t("state"), t(`state_${letter.state}`)], [t("group"), letter.group], [t("reason"), letter.reason], [t("detail"), letter.detail],
        [t("type"), letter.what], [t("subject"), letter.subject], [t("original"), letter.original], [t("time"), exactly(letter.time)],
      ]}/>
      ${traceback && html`<h3>${t("traceback")}</h3><${Text} value=${traceback}/>`}
      <h3>${t("value")}</h3><${Text} value=${record.json || record.text}/>
      <h3>${t("headers")}</h3><${Headers} headers=${record.headers.filter(([header]) => header !== "traceback")}/>`}
  <//>`;
}

// First a dry run, whose number is shown; then, if it is meant, the work itself.
function Work({kind, chosen, worker, onClose}) {
  const [job, setJob] = useState(null);
  const [error, setError] = useState(null);
  const ended = useRef(false);
  const begin = (dry) => {
    const every = Object.keys(chosen).length === 0;
    return follow(() => post(`api/letters/${kind}`, {...chosen, worker, every, dry_run: dry}));
  };
  const follow = async (first) => {
    setError(null);
    try {
      let now = await first();
      setJob(now);
      while (now.running && !ended.current) {
        await new Promise((resume) => setTimeout(resume, JOB_MS));
        try {
          now = await get(`api/jobs/${now.id}`);
          setError(null);
        } catch (failure) {
          if (failure.status !== 0) throw failure;
          setError(failure); // It goes on there, perhaps, while nobody answers.
        }
        setJob(now);
      }
    } catch (failure) {
      setError(failure);
    }
  };
  useEffect(() => {
    begin(true);
    return () => { ended.current = true; };
  }, []);
  const progress = job?.progress ?? {};
  // What somebody else has begun may be of the other kind.
  const replays = (job?.kind ?? kind) === "replay";
  const over = job && !job.running;
  return html`<${Dialog} title=${t(kind)} onClose=${onClose}>
    <div role="status" class="work">
      ${kind === "drop" && html`<p>${t("drop_warning")}</p>`}
      ${error && html`<${Problem}>${told(error)}<//>`}
      ${job?.running && html`<progress value=${progress.read ?? 0} max=${Math.max(1, progress.total ?? 1)}></progress>
        <p>${t("working", {read: number(progress.read ?? 0), total: number(progress.total ?? 0), done: number(progress.done ?? 0)})}${progress.waiting_for ? ` · ${t("waits_for", {what: progress.waiting_for})}` : ""}</p>`}
      ${over && job.error && html`<${Problem}>${job.error}<//>`}
      ${over && !job.error && html`<p><strong>${t(job.dry_run ? (replays ? "would_replay" : "would_drop") : replays ? "replayed" : "dropped", {n: number(progress.done ?? 0)})}</strong>
        ${progress.failures ? ` · ${t("stay", {n: number(progress.failures)})}` : ""}${progress.left_out ? ` · ${t("left_out_letters", {n: number(progress.left_out)})}` : ""}</p>
        ${(progress.failed ?? []).map(([letter, why]) => html`<p key=${letter}><code>${letter}</code> ${why}</p>`)}`}
    </div>
    <p class="buttons">
      ${error?.job && html`<button type="button" onClick=${() => follow(() => get(`api/jobs/${error.job}`))}>${t("look_at_it")}</button>`}
      ${over && job.dry_run && !job.error && progress.done > 0 && html`<button type="button" onClick=${() => begin(false)}>${t("do_it")}</button>`}
      ${job?.running && !job.dry_run && html`<button type="button" class="contrast" onClick=${() => remove(`api/jobs/${job.id}`).catch(setError)}>${t("stop")}</button>`}
      <button type="button" class="secondary" onClick=${onClose}>${t(job && !job.dry_run ? "close" : "cancel")}</button>
    </p>
  <//>`;
}
