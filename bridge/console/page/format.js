// Numbers, times and sizes as people read them, in the language of the page.
import {language, t} from "./i18n.js";

const two = (number) => String(number).padStart(2, "0");

export function clock(text) {
  const at = new Date(text);
  if (!text || Number.isNaN(at.getTime())) return "–";
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return at.toDateString() === new Date().toDateString() ? time : `${day(at)} ${time}`;
}

export function exactly(text) {
  const at = new Date(text);
  if (!text || Number.isNaN(at.getTime())) return text || "–";
  return `${day(at)} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

const day = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;

export const number = (value, digits = 0) =>
  value === null || value === undefined ? "–" : value.toLocaleString(language(), {maximumFractionDigits: digits});

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let size = value;
  while (Math.abs(size) >= 1024 && at < units.length - 1) {
    size /= 1024;
    at += 1;
  }
  return `${number(size, at ? 1 : 0)} ${units[at]}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 120) return t("n_s", {n: Math.floor(seconds)});
  if (seconds < 7200) return t("n_min", {n: Math.floor(seconds / 60)});
  if (seconds < 172800) return t("n_h", {n: Math.floor(seconds / 3600)});
  return t("n_days", {n: Math.floor(seconds / 86400)});
}

export const milliseconds = (value) => (value === null || value === undefined ? "–" : `${number(value, value < 10 ? 1 : 0)} ms`);
