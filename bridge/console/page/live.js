// What comes in, as it comes.
import {html, useEffect, useRef, useState} from "./html.js";
import {query} from "./api.js";
import {clock, exactly, number} from "./format.js";
import {t} from "./i18n.js";
import {Note, Problem} from "./parts.js";
import {Detail} from "./detail.js";
import {OpenedLetter} from "./letters.js";

const MOST_ROWS = 300;
const SAMPLED_OVER_S = 5;
const KINDS = ["", "event", "badge", "letter"];
const NO_FILTER = {kind: "", type: "", account: "", app: "", text: ""};
// With the time, for a topic that was made anew gives the same offsets to others.
const keyOf = (row) => `${row.topic}/${row.partition}/${row.offset}/${row.received}`;

// Rows, and how it is going; connects anew when the filter changes, or when the server was away.
function useLive(filter, paused) {
  const [state, setState] = useState({rows: [], connected: false, tick: null, held: 0, left: {left: 0, unseen: 0}});
  const pausing = useRef(paused);
  const held = useRef([]);
  const lost = useRef([]);
  const wanted = JSON.stringify(filter);

  useEffect(() => {
    pausing.current = paused;
    if (!paused && held.current.length) {
      const rows = held.current;
      held.current = [];
      setState((before) => ({...before, rows: merged(before.rows, rows), held: 0}));
    }
  }, [paused]);

  useEffect(() => {
    let source = null;
    let timer = 0;
    held.current = [];
    lost.current = [];
    let isFirst = true;
    const take = (event) => {
      const tick = JSON.parse(event.data);
      const now = Date.now();
      lost.current.push([now, tick.left_out, tick.unseen]);
      lost.current = lost.current.filter(([at]) => now - at < SAMPLED_OVER_S * 1000);
      const left = {left: sum(lost.current, 1), unseen: sum(lost.current, 2)};
      const isNew = isFirst;
      isFirst = false;
      if (pausing.current && !isNew) {
        held.current = merged(held.current, tick.rows);
        setState((before) => ({...before, tick, left, connected: true, held: held.current.length}));
      } else {
        setState((before) => ({rows: merged(isNew ? [] : before.rows, tick.rows), tick, left, connected: true, held: 0}));
      }
    };
    const connect = () => {
      source = new EventSource(`api/live?${query(filter)}`);
      source.addEventListener("tick", take);
      source.onerror = () => {
        setState((before) => ({...before, connected: false}));
        if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, 2000);
      };
    };
    const end = () => {
      clearTimeout(timer);
      source?.close();
    };
    // A browser gives one address six connections: tabs that nobody looks at leave them to the others.
    const looked = () => {
      end();
      if (!document.hidden) connect();
    };
    looked();
    document.addEventListener("visibilitychange", looked);
    return () => {
      document.removeEventListener("visibilitychange", looked);
      end();
    };
  }, [wanted]);
  return state;
}

const sum = (rows, at) => rows.reduce((total, row) => total + row[at], 0);

// The newest first; what was there already is not there twice.
function merged(before, rows) {
  if (!rows.length) return before;
  const known = new Set(before.map(keyOf));
  const fresh = rows.filter((row) => !known.has(keyOf(row))).reverse();
  return [...fresh, ...before].slice(0, MOST_ROWS);
}

export function LiveView({access, at, onSignIn}) {
  const [filter, setFilter] = useState({...NO_FILTER, ...at.given});
  const [typed, setTyped] = useState(filter);
  const [paused, setPaused] = useState(false);
  const [opened, setOpened] = useState(null);
  const {rows, connected, tick, held, left} = useLive(filter, paused);

  useEffect(() => {
    if (Object.keys(at.given).length) setTyped({...NO_FILTER, ...at.given});
  }, [JSON.stringify(at.given)]);
  useEffect(() => {
    const timer = setTimeout(() => setFilter(typed), 300);
    return () => clearTimeout(timer);
  }, [typed]);
  useEffect(() => {
    const keyed = (event) => {
      if (event.target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
      if (event.key === "p") {
        setPaused((before) => !before);
      } else if (["j", "k", "ArrowDown", "ArrowUp"].includes(event.key)) {
        step(event, event.key === "j" || event.key === "ArrowDown");
      }
    };
    addEventListener("keydown", keyed);
    return () => removeEventListener("keydown", keyed);
  }, []);

  const input = (name, type = "search") => html`
    <label>${t(name)}
      <input type=${type} value=${typed[name]}
        onInput=${(event) => setTyped({...typed, [name]: event.target.value})}/>
    </label>`;
  return html`
    <h1 class="hidden">${t("live")}</h1>
    <form class="filters" aria-label=${t("filters")} onSubmit=${(event) => { event.preventDefault(); setFilter(typed); }}>
      <label>${t("kind")}
        <select value=${typed.kind} onChange=${(event) => setTyped({...typed, kind: event.target.value})}>
          ${KINDS.map((kind) => html`<option key=${kind} value=${kind}>${t(`kind_${kind || "all"}`)}</option>`)}
        </select>
      </label>
      ${input("type")}${input("account")}${input("app")}${input("text")}
      <span class="buttons">
        <button type="button" class="small secondary" onClick=${() => setTyped(NO_FILTER)}>${t("clear")}</button>
        <button type="button" class="small" aria-pressed=${paused} onClick=${() => setPaused(!paused)}>${t(paused ? "go_on" : "pause")}</button>
      </span>
    </form>
    <p class="state" role="status">
      <span class=${connected ? "dot good" : "dot bad"} aria-hidden="true"></span>
      ${t(connected ? "following" : "not_following")} · ${t("per_s", {n: number(tick?.per_s ?? 0, 1)})}
      ${paused && html` · <strong>${t("new_rows", {n: held >= MOST_ROWS ? `${MOST_ROWS}+` : held})}</strong>`}
    </p>
    ${tick?.problem && html`<${Problem}>${t("kafka_away", {why: tick.problem})}<//>`}
    ${!tick?.problem && tick?.missing?.includes(access.topics.events) && html`<${Note}>${t("topic_missing", {topics: access.topics.events})}<//>`}
    ${(left.left > 0 || left.unseen > 0) && html`<${Note}>${t(left.unseen ? "sampled_unseen" : "sampled", {n: number(left.left), unseen: number(left.unseen), s: SAMPLED_OVER_S})}<//>`}
    ${rows.length === 0 ? html`<p class="nothing">${t("nothing_yet")}</p>` : html`
      <div class="scroll">
      <table class="rows">
        <caption class="hidden">${t("rows")}</caption>
        <thead><tr><th scope="col">${t("time")}</th><th scope="col">${t("type")}</th><th scope="col">${t("subject")}</th><th scope="col">${t("what")}</th></tr></thead>
        <tbody>${rows.map((row) => html`<${LiveRow} key=${keyOf(row)} row=${row} onOpen=${setOpened}/>`)}</tbody>
      </table>
      </div>`}
    ${opened && isLetter(opened, access) && html`<${OpenedLetter} key=${keyOf(opened)} name=${`${opened.partition}-${opened.offset}`} access=${access} onSignIn=${onSignIn} onClose=${() => setOpened(null)}/>`}
    ${opened && !isLetter(opened, access) && html`<${Detail} key=${keyOf(opened)} row=${opened} access=${access} onSignIn=${onSignIn} onClose=${() => setOpened(null)}/>`}`;
}

const isLetter = (row, access) => row.kind === "letter" && row.topic === access.topics.letters;

function step(event, down) {
  const rows = [...document.querySelectorAll("table.rows tbody button")];
  const now = rows.indexOf(document.activeElement);
  const next = rows[now < 0 ? 0 : now + (down ? 1 : -1)];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

export function LiveRow({row, onOpen}) {
  const kind = row.kind === "event" ? row.type || t("kind_record") : row.kind === "badge" ? t("badge_row") : row.kind === "letter" ? row.type : t("kind_record");
  return html`
    <tr class=${row.kind} onClick=${() => onOpen(row)}>
      <td title=${exactly(row.time)}>${clock(row.received || row.time)}</td>
      <td><button type="button" class="link" aria-label=${t("open_row", {type: kind, subject: row.subject})} onClick=${(event) => { event.stopPropagation(); onOpen(row); }}>${kind}</button></td>
      <td class="subject">${row.subject}</td>
      <td class="fields">
        ${row.decision && html`<mark>${row.decision} ${row.decision_code ?? ""}</mark> `}
        ${row.fields.map(([name, value]) => html`<span key=${name}><i>${name}</i>=${value} </span>`)}
      </td>
    </tr>`;
}

