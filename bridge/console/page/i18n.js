// The words of the page, in English and in Chinese.
import {words as en} from "./words.en.js";
import {words as zh} from "./words.zh.js";
import {meanings} from "./meanings.zh.js";

const LANGUAGES = {en, "zh-CN": zh};
const STORED = "im-bridge-language";

let chosen = stored() ?? (navigator.languages ?? [navigator.language]).map(meant).find(Boolean) ?? "en";
document.documentElement.lang = chosen;

function stored() {
  try {
    const found = localStorage.getItem(STORED);
    return Object.hasOwn(LANGUAGES, found ?? "") ? found : null;
  } catch {
    return null;
  }
}

function meant(tag) {
  const lower = String(tag).toLowerCase();
  return lower.startsWith("zh") ? "zh-CN" : lower.startsWith("en") ? "en" : null;
}

export const language = () => chosen;

export function speak(tag) {
  chosen = tag;
  document.documentElement.lang = tag;
  try {
    localStorage.setItem(STORED, tag);
  } catch {
    // It is asked for again at the next visit.
  }
}

export function t(key, values = {}) {
  // Of one thing English has other words.
  const one = String(values.n) === "1" ? LANGUAGES[chosen][`${key}_1`] : undefined;
  const text = one ?? LANGUAGES[chosen][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

// What the server says of a callback or of a field, in the language of the page.
export function meaning(text) {
  return (chosen === "zh-CN" && meanings[text]) || text;
}
