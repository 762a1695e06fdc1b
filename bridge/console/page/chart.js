// A small chart of uPlot, in the colours of the page, as wide as there is room.
import {html, useEffect, useRef} from "./html.js";
import {number} from "./format.js";
import {t} from "./i18n.js";

const HEIGHT = 150;
const COLOURS = ["--chart-1", "--chart-2", "--chart-3"];

const two = (number) => String(number).padStart(2, "0");

function time(at, withSeconds) {
  const moment = new Date(at * 1000);
  return `${two(moment.getHours())}:${two(moment.getMinutes())}${withSeconds ? `:${two(moment.getSeconds())}` : ""}`;
}

// Of days when the chart spans some, with seconds where it spans a minute or two.
function times(plot, splits) {
  const span = splits.at(-1) - splits[0];
  const day = (at) => `${two(new Date(at * 1000).getMonth() + 1)}-${two(new Date(at * 1000).getDate())}`;
  const told = splits.map((at) => (span > 172_800 ? day(at) : time(at, span < 600)));
  return told.map((one, at) => (one === told[at - 1] ? "" : one));
}

const shown = (value) => (value === null || value === undefined ? "–" : number(value, 2));
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "gray";

export function Chart({title, names, data, steps = false}) {
  const place = useRef();
  const plot = useRef(null);
  const make = () => {
    if (!place.current) return;
    plot.current?.destroy();
    const axis = {stroke: colour("--pico-color"), grid: {stroke: colour("--chart-grid"), width: 1}, ticks: {show: false}, font: "11px system-ui"};
    const options = {
      width: Math.max(200, place.current.clientWidth),
      height: HEIGHT,
      cursor: {drag: {x: false, y: false}},
      legend: {show: names.length > 1 || steps},
      axes: [{...axis, values: times, size: 30}, {...axis, size: 52}],
      scales: {y: {range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.1)]}},
      series: [{label: t("time"), value: (_, at) => (at === null ? "–" : time(at, true))}, ...names.map((label, at) => ({
        // Where nothing is pointed at, the legend has what was last.
        label, value: (plot, value, series, index) => shown(index === null ? plot.data[series].findLast((one) => one !== null) : value),
        stroke: colour(COLOURS[at]), width: 2, points: {show: data[at + 1].filter((one) => one !== null).length < (steps ? 60 : 3)}, spanGaps: true,
        ...(steps ? {paths: window.uPlot.paths.stepped({align: 1})} : {}),
      }))],
    };
    plot.current = new window.uPlot(options, data, place.current);
  };
  useEffect(() => {
    if (plot.current && plot.current.series.length === names.length + 1) plot.current.setData(data);
    else make();
  }, [data]);
  useEffect(() => {
    const observer = new ResizeObserver(() => place.current && plot.current?.setSize({width: Math.max(200, place.current.clientWidth), height: HEIGHT}));
    observer.observe(place.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", make);
    const theme = new MutationObserver(make);
    theme.observe(document.documentElement, {attributeFilter: ["data-theme", "lang"]});
    return () => {
      observer.disconnect();
      theme.disconnect();
      dark.removeEventListener("change", make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  const last = data.slice(1).map((values) => values.at(-1));
  return html`<figure class=${steps ? "chart steps" : "chart"}><figcaption>${title}</figcaption>
    <div ref=${place} role="img" aria-label=${`${title}: ${names.map((name, at) => `${name} ${last[at] ?? "–"}`).join(", ")}`}></div></figure>`;
}
