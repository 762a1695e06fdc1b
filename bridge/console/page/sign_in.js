// Asks for the token.
import {html, useState} from "./html.js";
import {post} from "./api.js";
import {t} from "./i18n.js";
import {Dialog, Problem, told} from "./parts.js";

export function SignIn({access, why, dialog, onDone, onClose}) {
  const [token, setToken] = useState("");
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post("api/session", {token});
      onDone();
    } catch (failure) {
      setError(failure);
    }
  };
  const form = html`
    <form class="sign-in" onSubmit=${submit}>
      <p>${why}</p>
      <label>${t("token")}
        <input type="password" autocomplete="current-password" required value=${token} onInput=${(event) => setToken(event.target.value)} aria-describedby="token-hint"/>
      </label>
      <small id="token-hint">${t("token_hint")}</small>
      ${error && html`<${Problem}>${told(error)}<//>`}
      <button type="submit" disabled=${!access.has_token}>${t("sign_in")}</button>
    </form>`;
  return dialog ? html`<${Dialog} title=${t("sign_in")} onClose=${onClose}>${form}<//>` : form;
}
