// The few names that every module of the page needs.
import {h} from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export {render} from "./vendor/preact.js";
export {useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState} from "./vendor/preact-hooks.js";
// Text that stands in a template becomes a text node, whatever is in it: nothing here makes markup of text.
export const html = htm.bind(h);
