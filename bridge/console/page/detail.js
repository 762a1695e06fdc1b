// One record whole: the callback, the event, its way.
import {html, useEffect, useState} from "./html.js";
import {get} from "./api.js";
import {bytes, exactly, number} from "./format.js";
import {t} from "./i18n.js";
import {Asking, Copy, Dialog, Problem, Text, told} from "./parts.js";

const REFRESH_MS = 2000;
const HIDDEN = "…";

export function Detail({row, access, onClose}) {
  const [record, setRecord] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    let over = false;
    let timer = 0;
    const look = async () => {
      try {
        const found = await get("api/record", {topic: row.topic, partition: row.partition, offset: row.offset});
        if (over) return;
        setRecord(found);
        setError(null);
        // What became of it may still change: it is not handled yet.
        if (found.way.some((step) => step.step === "handled" && !step.facts?.done)) timer = setTimeout(look, REFRESH_MS);
      } catch (failure) {
        if (over) return;
        setError(failure);
        if (failure.status !== 404) timer = setTimeout(look, REFRESH_MS);
      }
    };
    look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, []);
  const title = `${row.type || t(`kind_${row.kind}`)} · ${row.subject}`;
  return html`<${Dialog} title=${title} onClose=${onClose}>
    ${error ? html`<${Problem}>${told(error)}<//>` : !record && html`<${Asking}/>`}
    ${record && html`<${Whole} record=${record} row=${row} access=${access} onClose=${onClose}/>`}
  <//>`;
}

function Whole({record, row, access, onClose}) {
  const callback = record.callback;
  const again = callback && access.can_send && callback.is_whole && callback.is_json;
  const repeat = () => {
    sessionStorage.setItem("im-bridge-sample", JSON.stringify({command: callback.command, body: callback.body}));
    onClose();
    location.hash = `#/send?command=${encodeURIComponent(callback.command)}&again=1`;
  };
  return html`
    <p class="buttons">
      ${row.kind !== "letter" && row.subject && row.subject !== HIDDEN && html`<a role="button" class="small secondary" onClick=${onClose} href=${`#/badges?account=${encodeURIComponent(row.subject)}`}>${t("show_badge", {account: row.subject})}</a>`}
      ${callback?.curl && html`<${Copy} text=${callback.curl} label=${t("copy_curl")}/>`}
      ${callback?.bridge_send && html`<${Copy} text=${callback.bridge_send} label=${t("copy_send")}/>`}
      ${record.json && html`<${Copy} text=${record.json} label=${t("copy_json")}/>`}
      ${again && html`<button type="button" class="small" onClick=${repeat}>${t("send_again")}</button>`}
    </p>
    ${record.way.length > 0 && html`<h3>${t("way")}</h3><ol class="way">${record.way.map((step, at) => html`<${Step} key=${at} step=${step}/>`)}</ol>`}
    ${callback && html`
      <h3>${t("callback")} <code>${callback.command}</code></h3>
      <p><small>${t(callback.is_original ? "as_it_came" : "rebuilt")} ${!callback.is_whole && t("has_hidden")} ${callback.curl && t("curl_hint")}</small></p>
      <${Text} value=${callback.body}/>`}
    <h3>${t(record.kind === "event" ? "event" : "value")} <small>${record.topic} ${record.partition}-${record.offset} · ${exactly(record.time)} · ${bytes(record.size)}</small></h3>
    ${record.json ? html`<${Text} value=${record.json}/>` : html`<p>${t("not_json", {size: bytes(record.size)})}</p><${Text} value=${record.text}/>`}
    ${record.headers.length > 0 && html`<h3>${t("headers")}</h3><${Headers} headers=${record.headers}/>`}`;
}

export const Headers = ({headers}) => html`
  <div class="scroll"><table class="headers"><tbody>
    ${headers.map(([name, value], at) => html`<tr key=${at}><th scope="row">${name}</th><td class="text">${value}</td></tr>`)}
  </tbody></table></div>`;

function Step({step}) {
  return html`<li class=${step.known === false || step.facts?.done === false ? "open" : "done"}>
    <strong>${t(`step_${step.step}`)}</strong> ${step.time && html`<time>${exactly(step.time)}</time> `}${words(step)}
  </li>`;
}

function words({step, facts = {}, known}) {
  const count = (value) => (value === null || value === undefined ? t("unknown_count") : number(value));
  switch (step) {
    case "received":
      return [facts.client && t("from_client", facts), facts.platform && t("on_platform", facts)].filter(Boolean).join(", ");
    case "answered":
      return ["acknowledged", "not_asked"].includes(facts.decision) ? t(`answered_${facts.decision}`) : t("answered_decision", facts);
    case "durable": {
      const values = {ms: number(facts.in_kafka_within_ms), disk: number(facts.disk_after_ms, 1)};
      return t(known === false ? "durable_unknown" : facts.by === "kafka" ? "durable_kafka" : "durable_first", values);
    }
    case "published":
      return t("published_at", facts);
    case "handled":
      return t(known === false ? "handled_unknown" : facts.done ? "handled_done" : "handled_not_yet", facts);
    case "badge": {
      const values = {account: facts.account, before: count(facts.before), after: count(facts.after)};
      return `${t(facts.is_first ? "badge_first" : "badge_changed", values)}${facts.stale ? ` · ${t("stale")}` : ""}`;
    }
    default:
      return "";
  }
}
