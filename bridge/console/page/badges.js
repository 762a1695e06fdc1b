// An account's badge, what moved it, how it was before.
import {html, useEffect, useMemo, useRef, useState} from "./html.js";
import {exactly, number} from "./format.js";
import {language, t} from "./i18n.js";
import {Asking, Facts, Note, Problem, told, useFocus, usePolled} from "./parts.js";
import {LiveRow} from "./live.js";
import {Detail} from "./detail.js";
import {Chart} from "./chart.js";

const LOOK_MS = 3000;

export function BadgesView({access, at}) {
  const account = at.given.account ?? "";
  const [typed, setTyped] = useState(account);
  const input = useRef();
  useEffect(() => setTyped(account), [account]);
  useFocus(input, !account);
  const show = (event) => {
    event.preventDefault();
    input.current.blur(); // Keys are those of the page again.
    location.hash = `#/badges?account=${encodeURIComponent(typed.trim())}`;
  };
  return html`
    <h1 class="hidden">${t("badges")}</h1>
    <form class="filters" onSubmit=${show}>
      <label>${t("account")}<input type="search" ref=${input} value=${typed} required onInput=${(event) => setTyped(event.target.value)}/></label>
      <span class="buttons"><button type="submit" class="small">${t("show")}</button></span>
    </form>
    ${!account && html`<p class="nothing">${t("badges_hint")}</p>`}
    ${account && html`<${Account} key=${account} account=${account} access=${access}/>`}`;
}

function Account({account, access}) {
  const {value: found, error} = usePolled("api/badge", {account}, LOOK_MS);
  const [opened, setOpened] = useState(null);
  if (!found) return error ? html`<${Problem}>${told(error)}<//>` : html`<${Asking}/>`;
  const movers = new Set(found.badges.map((badge) => badge.event_id));
  return html`
    <h2>${t("badge_of_account", {account})}</h2>
    ${error && html`<${Problem}>${told(error)}<//>`}
    ${found.problem && html`<${Problem}>${found.problem}<//>`}
    ${found.lost_at_ms > 0 && html`<${Problem}>${t("badges_lost", {time: exactly(found.lost_at_ms)})}<//>`}
    ${!found.problem && found.badges.length === 0 && html`<${Note}>${t("no_badge", {account})}<//>`}
    <div class="badges">${found.badges.map((badge) => html`<${Badge} key=${badge.app_id} badge=${badge} mover=${found.events.find((row) => row.id === badge.event_id)} onOpen=${setOpened}/>`)}</div>
    ${found.events_problem && html`<${Problem}>${found.events_problem}<//>`}
    <h3>${t("events_that_touch")}</h3>
    <p><small>${t(found.events_are_all ? "looked_at_all" : "looked_at_some")}</small></p>
    ${found.events.length === 0 ? html`<p>${t("no_events")}</p>` : html`<div class="scroll"><table class="rows">
      <thead><tr><th scope="col">${t("time")}</th><th scope="col">${t("type")}</th><th scope="col">${t("subject")}</th><th scope="col">${t("what")}</th></tr></thead>
      <tbody>${found.events.map((row) => html`<${LiveRow} key=${`${row.partition}-${row.offset}`} row=${movers.has(row.id) ? {...row, decision: t("is_mover")} : row} onOpen=${setOpened}/>`)}</tbody>
    </table></div>`}
    <h3>${t("history")}</h3><${History} history=${found.history}/>
    ${opened && html`<${Detail} key=${`${opened.partition}-${opened.offset}`} row=${opened} access=${access} onClose=${() => setOpened(null)}/>`}`;
}

function Badge({badge, mover, onOpen}) {
  return html`<article class="badge-card">
    <p class="count" aria-label=${t("unread")}>${badge.unread === null ? "?" : number(badge.unread)}</p>
    ${badge.stale && html`<p><mark>${t("stale_long")}</mark></p>`}
    <${Facts} rows=${[
      [t("app"), badge.app_id],
      [t("moved_at"), badge.time && exactly(badge.time)],
      [t("moved_by"), mover ? html`<button type="button" class="link" onClick=${() => onOpen(mover)}>${mover.command || mover.type}</button> <small>${mover.type}</small>` : badge.event_id],
    ]}/></article>`;
}

function History({history}) {
  const charts = useMemo(() => {
    const apps = [...new Set(history.map(([app]) => app))];
    return apps.map((app) => {
      const steps = history.filter((step) => step[0] === app).map(([, time, count]) => [Date.parse(time) / 1000, count]).filter(([time]) => !Number.isNaN(time)).sort((a, b) => a[0] - b[0]);
      return [apps.length > 1 ? `${t("unread")} · ${t("app")} ${app}` : t("unread"), [steps.map(([time]) => time), steps.map(([, count]) => count)]];
    }).filter(([, data]) => data[0].length);
  }, [JSON.stringify(history), language()]);
  if (charts.length === 0) return html`<p>${t("no_history")}</p>`;
  return charts.map(([title, data]) => html`<${Chart} key=${title} title=${title} names=${[t("unread")]} data=${data} steps/>`);
}
