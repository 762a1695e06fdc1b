// How all is: the numbers of `bridge status` and `consumers status`, and the last hour.
import {html, useMemo} from "./html.js";
import {bytes, clock, duration, exactly, milliseconds, number} from "./format.js";
import {t} from "./i18n.js";
import {Asking, Facts, Note, Problem, told, usePolled} from "./parts.js";
import {Chart} from "./chart.js";

const LOOK_MS = 2000;
const CHART_MS = 5000;

export function HealthView() {
  const {value: health, error} = usePolled("api/health", {}, LOOK_MS);
  const {value: samples} = usePolled("api/history", {}, CHART_MS);
  if (!health?.time_s) return html`<h1 class="hidden">${t("health")}</h1>${error ? html`<${Problem}>${told(error)}<//>` : html`<${Asking}/>`}`;
  const workers = health.workers ?? []; // Null as long as they were not asked.
  const well = !health.kafka_problem && health.ingress?.well && !health.workers_problem && workers.every((one) => one.well);
  const verdict = error ? "well_unknown" : well ? "all_well" : "not_well"; // Of what was well nobody knows whether it still is.
  return html`
    <h1 class="verdict"><span class=${verdict === "all_well" ? "dot good" : "dot bad"} aria-hidden="true"></span>${t(verdict)}${" "}<small>${t("as_of", {time: clock(health.time_s * 1000)})}</small></h1>
    ${error && html`<${Problem}>${told(error)}<//>`}
    ${health.kafka_problem && html`<${Problem}>${t("kafka_away", {why: health.kafka_problem})}<//>`}
    <section aria-label=${t("ingress")}><h2>${t("ingress")}</h2><${Ingress} ingress=${health.ingress} problem=${health.ingress_problem} latest=${health.latest}/></section>
    <section aria-label=${t("workers")}><h2>${t("workers")}</h2>
      ${health.workers_problem && html`<${Problem}>${health.workers_problem}<//>`}
      ${!health.workers && html`<${Asking}/>`}
      ${!health.workers_problem && health.workers?.length === 0 && html`<${Note}>${t("no_workers")}<//>`}
      ${workers.map((one) => html`<${Worker} key=${one.worker} worker=${one}/>`)}
    </section>
    ${samples?.length > 1 && html`<section aria-label=${t("last_hour")}><h2>${t("last_hour")}</h2><${Charts} samples=${samples}/></section>`}`;
}

function Ingress({ingress, problem, latest}) {
  if (!ingress) return html`<${Problem}>${problem}<//>`;
  const total = ingress.total;
  const kafka = worst(ingress.processes); // Undefined where none answers: of what waits, and of a disk, nothing is known either.
  const badDisk = ingress.processes.find((one) => !one.disk.ok)?.disk;
  const quarantined = Math.max(0, ...ingress.processes.map((one) => one.disk.quarantine_files));
  const refusals = ingress.processes.flatMap((one) => one.refusals).sort((a, b) => (a.last < b.last ? 1 : -1)).slice(0, 8);
  return html`
    <${Facts} rows=${[
      [t("kafka"), kafka && html`<span class=${kafka.state === "confirming" ? "good-text" : "bad-text"}>${kafka.state === "confirming" ? t("kafka_confirms", {since: exactly(kafka.since)}) : t("kafka_not", {since: exactly(kafka.since), why: kafka.problem})}</span>`],
      [t("waiting"), kafka && waits(ingress)],
      [t("room"), kafka && `${bytes(total.room_bytes)} · ${untilFull(ingress)}`],
      [t("disk"), badDisk ? html`<span class="bad-text">${t("disk_bad", {why: badDisk.problem})}</span>` : kafka && t("disk_ok")],
      [t("reply_times"), latest && latest[4] !== null ? `p50 ${milliseconds(latest[4])} · p99 ${milliseconds(latest[5])}` : ""],
      ["", quarantined ? html`<span class="bad-text">${t("quarantined", {n: quarantined})}</span>` : ""],
      ["", ingress.left_behind.length ? html`<span class="bad-text">${t("left_behind", {n: ingress.left_behind.length})}</span>` : ""],
    ]}/>
    ${ingress.silent.map((one) => html`<${Problem} key=${one.host + one.pid}>${t("silent", {who: one.pid ? `${one.pid} @ ${one.host}` : one.host, why: one.problem})}<//>`)}
    ${ingress.processes.length > 0 && html`<div class="scroll"><table>
      <thead><tr>${["process", "pid", "state", "waiting", "room"].map((name) => html`<th key=${name} scope="col">${t(name)}</th>`)}</tr></thead>
      <tbody>${ingress.processes.map((one) => html`<tr key=${one.host + one.pid}>
        <th scope="row">${`${one.host} ${one.process}`}</th><td>${one.pid}</td><td>${t(`state_${one.state}`)}${one.ready ? "" : " ✗"}, ${t(`of_kafka_${one.kafka.state}`)}</td>
        <td>${number(one.waiting.events)}${one.waiting.oldest ? `, ${duration(one.waiting.oldest_s)}` : ""}</td><td>${bytes(one.disk.room_bytes)}</td></tr>`)}</tbody>
    </table></div>`}
    ${refusals.length > 0 && html`<details><summary>${t("refusals")}</summary><div class="scroll"><table>
      <thead><tr>${["reason", "times", "last", "reply", "app", "address"].map((name) => html`<th key=${name} scope="col">${t(name)}</th>`)}</tr></thead>
      <tbody>${refusals.map((one, at) => html`<tr key=${at}><th scope="row">${one.reason}</th><td>${number(one.count)}</td><td>${exactly(one.last)}</td><td>${one.status}</td><td>${one.app || "–"}</td><td>${one.address || "–"}</td></tr>`)}</tbody>
    </table></div></details>`}`;
}

function worst(processes) {
  const away = processes.map((one) => one.kafka).filter((one) => one.state !== "confirming");
  const by = (a, b) => (a.since < b.since ? -1 : 1);
  return away.length ? away.sort(by)[0] : processes.map((one) => one.kafka).sort(by).at(-1);
}

function waits({total, silent, left_behind: left}) {
  if (!total.events) return t(silent.length || left.length ? "waiting_none_here" : "waiting_none");
  return `${t("waiting_some", {n: number(total.events), bytes: bytes(total.bytes), age: duration(total.oldest_s)})}${growth(total)}`;
}

function untilFull({total, processes}) {
  const full = processes.filter((one) => !one.disk.room_bytes).length;
  if (full === processes.length) return t("full");
  const rest = untilOthersAreFull(total);
  return full ? t("full_some", {n: full, all: processes.length, rest}) : rest;
}

function untilOthersAreFull(total) {
  if (total.full_at) return t("full_at", {time: clock(total.full_at), left: duration(total.full_in_s)});
  if (total.bytes_per_s === null && total.events) return t("full_unknown");
  return t(total.bytes_per_s >= 1 ? "full_in_weeks" : "not_filling");
}

function growth(total) {
  if (total.events_per_s === null || Math.abs(total.events_per_s) < 0.05) return "";
  const words = ` · ${t(total.events_per_s > 0 ? "grows" : "drains", {n: number(Math.abs(total.events_per_s), 1)})}`;
  return total.drained_at ? `${words}: ${t("drained_at", {time: clock(total.drained_at), left: duration(total.drained_in_s)})}` : words;
}

function Worker({worker}) {
  const lag = worker.lag;
  const letters = worker.dead_letters;
  return html`<article class="worker"><h3>${worker.worker} ${worker.place && html`<small>${t("group")} ${worker.place.group} · ${worker.place.topic}</small>`}</h3>
    <${Facts} rows=${[
      [t("lag"), worker.kafka_problem ? html`<span class="bad-text">${worker.kafka_problem}</span>` : lag ? (lag.events ? t("lag_some", {n: number(lag.events), age: duration(lag.oldest_s)}) : t("lag_none")) : ""],
      [t("letters"), letters?.count ? html`<a href=${`#/letters?group=${encodeURIComponent(worker.place?.group ?? "")}`}>${t("open_letters", {n: number(letters.count)})}</a>` : letters ? "0" : ""],
      ...worker.processes.map((one) => [one.url, html`<span class=${one.ready && !one.detail.waiting && !one.detail.breaker ? "good-text" : "bad-text"}>${stateOf(one)}</span>`]),
    ]}/></article>`;
}

function stateOf(process) {
  if (!process.answers) return t("worker_away", {why: process.problem});
  if (process.detail.breaker) return t("worker_breaker", {why: process.detail.breaker});
  if (process.detail.waiting) return t("worker_waiting", {why: process.detail.waiting});
  return t(process.ready ? "worker_ok" : "worker_not_ready");
}

function Charts({samples}) {
  const column = (at) => samples.map((one) => one[at]);
  const charts = useMemo(() => {
    const times = column(0);
    return [
      [t("accepted_rate"), [t("accepted"), t("refused"), t("published")], [times, column(1), column(2), column(3)]],
      [t("reply_times"), ["p50", "p99"], [times, column(4), column(5)]],
      [t("journal"), [t("journal")], [times, column(6)]],
      [t("waiting"), [t("waiting")], [times, column(7)]],
      [t("lag"), [t("lag")], [times, column(8)]],
    ];
  }, [samples]);
  return html`<div class="charts">${charts.map(([title, names, data], at) => html`<${Chart} key=${at} title=${title} names=${names} data=${data}/>`)}</div>`;
}
