// The frame around the views: who is signed in, which view, which language, which colours.
import {html, render, useCallback, useEffect, useRef, useState} from "./html.js";
import {get, post, remove} from "./api.js";
import {language, speak, t} from "./i18n.js";
import {Problem, arrival, told} from "./parts.js";
import {LiveView} from "./live.js";
import {HealthView} from "./health.js";
import {BadgesView} from "./badges.js";
import {LettersView} from "./letters.js";
import {SendView} from "./send.js";
import {SignIn} from "./sign_in.js";

const VIEWS = {live: LiveView, health: HealthView, badges: BadgesView, letters: LettersView, send: SendView};
const ATTEMPTS = 4;
const LOOK_MS = 15_000;
const AGAIN_MS = 2000;
const THEMES = ["auto", "light", "dark"];

// "#/badges?account=ann" is the view "badges" with that parameter.
function place() {
  const [path, parameters] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/");
  return {view: Object.hasOwn(VIEWS, view) ? view : "live", rest: rest.map(decoded), given: Object.fromEntries(new URLSearchParams(parameters))};
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // Somebody's own address: nothing has that name.
  }
}

// The address that `bridge dev` prints has the token behind the #, which browsers send to nobody.
const tokenOfAddress = () => new URLSearchParams(location.hash.slice(1)).get("token");

async function signInByAddress() {
  const token = tokenOfAddress();
  if (!token) return;
  history.replaceState(null, "", `${location.pathname}#/live`);
  for (let attempt = 1; ; attempt++) {
    try {
      return await post("api/session", {token});
    } catch (failure) {
      if (failure.status === 403 || attempt === ATTEMPTS) throw failure;
      await new Promise((done) => setTimeout(done, 500));
    }
  }
}

function useTheme() {
  const [theme, setTheme] = useState(() => {
    try {
      return localStorage.getItem("im-bridge-theme") ?? "auto";
    } catch {
      return "auto";
    }
  });
  useEffect(() => {
    if (theme === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", theme);
    try {
      localStorage.setItem("im-bridge-theme", theme);
    } catch {
      // It is chosen again at the next visit.
    }
  }, [theme]);
  return [theme, setTheme];
}

function App() {
  const [access, setAccess] = useState(null);
  const [error, setError] = useState(null);
  const [unsigned, setUnsigned] = useState(null);
  const [at, setAt] = useState(place);
  const [, setSpoken] = useState(language());
  const [theme, setTheme] = useTheme();
  const [signing, setSigning] = useState(false);

  const asked = useRef(0);

  const refresh = useCallback(async () => {
    // Of several answers the last that was asked for counts: an earlier one may be of before one signed in or out.
    const turn = ++asked.current;
    let found = null;
    let failed = null;
    try {
      found = await get("api/access");
    } catch (failure) {
      failed = failure;
    }
    if (turn !== asked.current) return;
    if (found) setAccess(found);
    setError(failed);
  }, []);
  useEffect(() => {
    const enter = () => signInByAddress().then(() => setUnsigned(null), setUnsigned).then(refresh);
    enter();
    const moved = () => {
      if (tokenOfAddress()) enter(); // It was typed where the page is open already.
      setAt(place());
    };
    const keyed = (event) => {
      if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.matches("input, textarea, select")) {
        if (event.key === "Escape") event.target.blur();
        return;
      }
      const view = Object.keys(VIEWS)[Number(event.key) - 1];
      if (view) {
        arrival.byKey = true;
        location.hash = `#/${view}`;
        moved(); // At once: the next key, perhaps of the filters, is for the new view.
      } else if (event.key === "/") {
        event.preventDefault();
        document.querySelector("main input[type=search]")?.focus();
      }
    };
    addEventListener("hashchange", moved);
    addEventListener("keydown", keyed);
    return () => {
      removeEventListener("hashchange", moved);
      removeEventListener("keydown", keyed);
    };
  }, []);

  useEffect(() => {
    // Soon again while nobody answers: who follows is told otherwise by the view already.
    const timer = setInterval(refresh, error ? AGAIN_MS : LOOK_MS);
    return () => clearInterval(timer);
  }, [error]);

  const signOut = async () => {
    asked.current++; // What was asked before tells of the session that ends.
    try {
      await remove("api/session");
      await refresh();
    } catch (failure) {
      setError(failure);
    }
  };
  const View = VIEWS[at.view];
  const mayChange = access?.right === "change";
  return html`
    <header class="bar">
      <a class="name" href="#/live"><img src="assets/icon.svg" alt="" width="24" height="24"/>im-bridge</a>
      <nav aria-label=${t("views")}>
        ${Object.keys(VIEWS).map((view) => html`<a key=${view} href=${`#/${view}`} onClick=${() => { arrival.byKey = false; }} aria-current=${view === at.view ? "page" : undefined}>${t(view)}${view === "health" && access?.well === false && html`<span class="dot bad after" role="img" aria-label=${t("not_well")} title=${t("not_well")}></span>`}</a>`)}
      </nav>
      <span class="tools">
        <select aria-label=${t("language")} value=${language()} onChange=${(event) => { speak(event.target.value); setSpoken(event.target.value); }}>
          <option value="en">English</option><option value="zh-CN">中文</option>
        </select>
        <select aria-label=${t("theme")} value=${theme} onChange=${(event) => setTheme(event.target.value)}>
          ${THEMES.map((one) => html`<option key=${one} value=${one}>${t(`theme_${one}`)}</option>`)}
        </select>
        ${access && html`<span class="right">${t(mayChange ? "may_change" : "read_only")}</span>`}
        ${mayChange && html`<button type="button" class="small secondary" onClick=${signOut}>${t("sign_out")}</button>`}
        ${access?.has_token && access.right === "look" && html`<button type="button" class="small" onClick=${() => setSigning(true)}>${t("sign_in")}</button>`}
      </span>
    </header>
    <main>
      ${error && html`<${Problem}>${told(error)}<//>`}
      ${unsigned && !mayChange && html`<${Problem}>${told(unsigned)}<//>`}
      ${access?.right === "none" && html`<${SignIn} access=${access} onDone=${refresh} why=${t("sign_in_to_look")}/>`}
      ${access && access.right !== "none" && html`<${View} key=${at.view} access=${access} at=${at} onSignIn=${() => setSigning(true)}/>`}
      ${signing && access?.right === "look" && html`<${SignIn} access=${access} dialog why=${t("sign_in_to_change")} onClose=${() => setSigning(false)} onDone=${() => { setSigning(false); refresh(); }}/>`}
    </main>
    <footer><small>${access?.version && `im-bridge ${access.version} · `}${t("help")}: ${t("help_text")}${access?.hidden?.length ? ` · ${t("hidden_fields", {names: access.hidden.join(", ")})}` : ""}</small></footer>`;
}

render(html`<${App}/>`, document.getElementById("app"));
