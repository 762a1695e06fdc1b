// The few names that every module of the page needs.
import {h} from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export {render} from "./vendor/preact.js";
export {useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState} from "./vendor/preact-hooks.js";
// What has no shape of its own, or turns the direction of writing, could make a text look like another: it is shown as
// an escape. Not so the joiners of emoji and of some scripts.
const SHAPELESS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
const escaped = (one) => `\\u${one.codePointAt(0) > 0xffff ? `{${one.codePointAt(0).toString(16)}}` : one.charCodeAt(0).toString(16).padStart(4, "0")}`;
export const visible = (text) => text.replace(SHAPELESS, escaped);
const child = (one) => (typeof one === "string" ? visible(one) : Array.isArray(one) ? one.map(child) : one);

// Text that stands in a template becomes a text node, whatever is in it: nothing here makes markup of text.
export const html = htm.bind((type, properties, ...children) => h(type, properties, ...children.map(child)));
