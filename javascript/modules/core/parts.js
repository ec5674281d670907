/** UI components of all sub-tabs: icons, buttons, cards, messages, toasts. */

import {failureOf, h, setText, svg, uniqueId} from "./dom.js";
import {format} from "./format.js";
import {toastShelf} from "./shell.js";

/** @typedef {import("./elements").Child} Child */

const DROP_GAP = 4;

/**
 * The paths of the icons, on a 16 × 16 grid with a stroke width of 1.5.
 * @type {Record<string, string>}
 */
const ICONS = {
    play: "M5 3.2v9.6a.5.5 0 0 0 .77.42l7.2-4.8a.5.5 0 0 0 0-.84l-7.2-4.8A.5.5 0 0 0 5 3.2z",
    pause: "M5.5 3.5v9M10.5 3.5v9",
    stop: "M4.5 4h7a.5.5 0 0 1 .5.5v7a.5.5 0 0 1-.5.5h-7a.5.5 0 0 1-.5-.5v-7a.5.5 0 0 1 .5-.5z",
    check: "M3 8.5l3.2 3.2L13 4.8",
    warning: "M8 2.3L14.3 13.3H1.7zM8 6.5v3.2M8 11.6v.1",
    error: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4",
    info: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 7.4v3.8M8 4.9v.1",
    close: "M4 4l8 8M12 4l-8 8",
    reset: "M3 8a5 5 0 1 0 1.6-3.7L3 5.8M3 2.6v3.2h3.2",
    image: "M2.5 3h11a.5.5 0 0 1 .5.5v9a.5.5 0 0 1-.5.5h-11a.5.5 0 0 1-.5-.5v-9a.5.5 0 0 1 .5-.5z" +
        "M2 11l3.4-3.4 2.8 2.8 1.9-1.9L14 12.2M10.2 5.8v.1",
    left: "M10 3L5 8l5 5",
    right: "M6 3l5 5-5 5",
    bulb: "M8 1.8a4.3 4.3 0 0 0-2.3 7.9c.4.3.6.7.6 1.1v.4h3.4v-.4c0-.4.2-.8.6-1.1A4.3 4.3 0 0 0 8 1.8zM6.5 13.8h3",
    file: "M4 1.8h5.2L12.5 5v8.7a.5.5 0 0 1-.5.5H4a.5.5 0 0 1-.5-.5V2.3a.5.5 0 0 1 .5-.5zM9 2v3.2h3.2",
    plus: "M8 3v10M3 8h10",
    minus: "M3 8h10",
    star: "M8 1.9l1.8 3.9 4.2.5-3.1 2.9.8 4.2L8 11.3l-3.7 2.1.8-4.2L2 6.3l4.2-.5z",
    trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5",
    folder: "M2 4.2a.5.5 0 0 1 .5-.5h3.3l1.5 1.6h6.2a.5.5 0 0 1 .5.5v6.5a.5.5 0 0 1-.5.5h-11a.5.5 0 0 1-.5-.5z",
    mask: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2zM8 2.2v11.6M9.5 2.6v10.8M11 3.3v9.4M12.5 4.6v6.8",
    up: "M3.5 10L8 5.5l4.5 4.5",
    down: "M3.5 6L8 10.5 12.5 6",
    grip: "M6 4v.1M10 4v.1M6 8v.1M10 8v.1M6 12v.1M10 12v.1",
    pen: "M3 13l.6-2.9 7.3-7.3 2.3 2.3-7.3 7.3z",
};

/** @param {string} name @returns {SVGElement} hidden from screen readers, since a label accompanies it */
export function icon(name) {
    return svg("svg", {class: `tl-icon tl-icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": "true",
        focusable: "false"}, svg("path", {d: ICONS[name]}));
}

/**
 * @param {string} label
 * @param {{kind?: string, icon?: string, click?: (event: MouseEvent) => void, title?: string, hidden?: boolean,
 *     small?: boolean, disabled?: boolean, id?: string, iconOnly?: boolean}} [options] kind: primary, quiet, danger
 * @returns {HTMLButtonElement}
 */
export function button(label, options = {}) {
    const kind = options.kind || "secondary";
    return h("button", {
        type: "button", id: options.id, title: options.title || (options.iconOnly ? label : null),
        class: `tl-button tl-${kind}${options.small ? " tl-small" : ""}${options.iconOnly ? " tl-icon-only" : ""}`,
        "aria-label": options.iconOnly ? label : null,
        hidden: Boolean(options.hidden), disabled: Boolean(options.disabled),
        on: options.click ? {click: options.click} : {},
    }, options.icon ? icon(options.icon) : null,
    options.iconOnly ? null : h("span", {class: "tl-button-label"}, label));
}

/** @param {HTMLElement} element made by `button`, with a visible label @param {string} label */
export function setLabel(element, label) {
    const text = element.querySelector(".tl-button-label");
    if (text) setText(text, label);
}

/**
 * @param {string} title
 * @param {{aside?: Child, id?: string, step?: number}} [options] aside: content to the right of the title
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function card(title, options = {}, ...children) {
    const heading = uniqueId("card");
    return h("section", {class: "tl-card", id: options.id, "aria-labelledby": heading},
        h("header", {class: "tl-card-head"},
            options.step ? h("span", {class: "tl-step", "aria-hidden": "true"}, options.step) : null,
            h("h3", {class: "tl-card-title", id: heading}, title), options.aside || null),
        h("div", {class: "tl-card-body"}, children));
}

/** @param {string} title @param {string} text the next step @param {...Child} children @returns {HTMLElement} */
export function emptyState(title, text, ...children) {
    return h("div", {class: "tl-empty"}, h("p", {class: "tl-empty-title"}, title), h("p", {}, text), children);
}

/**
 * @param {import("./types").Finding[]} findings
 * @returns {HTMLElement}
 */
export function findings(findings) {
    return h("ul", {class: "tl-findings"}, findings.map((finding) => {
        return h("li", {class: `tl-finding tl-level-${finding.level}`}, icon(LEVEL_ICONS[finding.level]),
            h("div", {}, h("span", {class: "tl-hidden-text"}, `${finding.level}: `), finding.text,
                finding.files && finding.files.length ? fold(
                    format.plural(finding.files.length, "file"),
                    h("ul", {class: "tl-paths"}, finding.files.map((file) => h("li", {}, file)))) : null));
    }));
}

/**
 * What went wrong, with a button that tries it again.
 * @param {string[]} texts @param {() => unknown} again may return a promise: the button waits for it
 * @returns {HTMLElement}
 */
export function tryAgain(texts, again) {
    return h("div", {class: "tl-again", role: "alert"}, findings(texts.map((text) => ({level: "error", text}))), h("div", {class: "tl-row"},
        button("Try again", {small: true, icon: "reset", click: async ({currentTarget}) => {
            const pressed = /** @type {HTMLButtonElement} */ (currentTarget);
            pressed.disabled = true;
            await again();
            pressed.disabled = false;
        }})));
}

/**
 * Shown in the place of what a failed request should have brought.
 * @param {string} what the subject of the sentence: "The caption" @param {unknown} error of the request
 * @param {() => unknown} again asks again
 * @returns {HTMLElement}
 */
export function unread(what, error, again) {
    const {message, problems} = failureOf(error);
    return tryAgain([`${what} cannot be read: ${message}`, ...problems.filter((text) => text !== message)], again);
}

/** @type {Record<string, string>} */
const LEVEL_ICONS = {error: "error", warning: "warning", note: "info", info: "info", good: "check"};

/** @param {Child} summary @param {...Child} children @returns {HTMLDetailsElement} */
export function fold(summary, ...children) {
    return h("details", {class: "tl-fold"},
        h("summary", {}, icon("right"), h("span", {class: "tl-fold-title"}, summary)),
        h("div", {class: "tl-fold-body"}, children));
}

/** @type {Record<string, string>} */
const BADGES = {
    running: "Training", paused: "Paused", held: "Held", waiting: "Waiting", finished: "Finished", stopped: "Stopped",
    failed: "Failed", lost: "Interrupted", damaged: "Damaged", starting: "Starting", pausing: "Pausing", stopping: "Stopping",
};

/** @param {string} state of a run @returns {HTMLElement} */
export function badge(state) {
    const element = h("span", {class: "tl-badge"}, "");
    setBadge(element, state);
    return element;
}

/** @param {HTMLElement} element made by `badge` @param {string} state */
export function setBadge(element, state) {
    if (element.dataset.state === state) return;
    element.dataset.state = state;
    setText(element, BADGES[state] || state);
}

/** Put the toasts into the open dialog, which would cover them, until it is closed. @param {HTMLElement} shelf */
function bringIntoSight(shelf) {
    const open = [...document.querySelectorAll("#train_lora_root dialog[open]")].pop();
    const home = shelf.parentElement;
    if (!open || !home || open.contains(shelf)) return;
    open.append(shelf);
    open.addEventListener("close", () => home.append(shelf), {once: true});
}

/**
 * @param {"error"|"warning"|"info"|"good"} kind
 * @param {string} text
 * @param {{problems?: string[]}} [options]
 * @returns {() => void} removes the toast
 */
export function toast(kind, text, options = {}) {
    const shelf = toastShelf;
    if (!shelf) return () => {};
    const same = [...shelf.children].find((child) => child instanceof HTMLElement && child.dataset.text === text);
    if (same) same.remove();
    const problems = (options.problems || []).filter((problem) => problem !== text);
    const element = h("div", {class: `tl-toast tl-level-${kind}`, role: kind === "error" ? "alert" : "status",
        data: {text}}, icon(LEVEL_ICONS[kind]),
    h("div", {class: "tl-toast-text"}, h("p", {}, text),
        problems.length ? h("ul", {}, problems.slice(0, 6).map((problem) => h("li", {}, problem))) : null),
    button("Close this message", {kind: "quiet", icon: "close", iconOnly: true, small: true,
        click: () => element.remove()}));
    shelf.append(element);
    bringIntoSight(shelf);
    while (shelf.children.length > 4) shelf.children[0].remove();
    if (kind !== "error") setTimeout(() => element.remove(), 6000);
    return () => element.remove();
}

/**
 * The list of a combobox: shown below ``input``, or above it where too little room is left, with one of its options marked
 * at most. While it is shown, it follows the input when something scrolls.
 * @param {HTMLInputElement} input @param {HTMLElement} list
 * @param {{height: number, width?: number, floor: () => number}} options the most height and the least width in pixels, and
 *     how far down the list may reach
 * @returns {{show: () => void, hide: () => void, mark: (place: number) => void, marked: () => number,
 *     move: (event: KeyboardEvent) => boolean}} mark: -1 for none; move: whether the key was an arrow, which moves the mark
 */
export function dropDown(input, list, {height, width = 0, floor}) {
    const place = () => {
        const box = input.getBoundingClientRect();
        const room = floor() - box.bottom;
        const above = room < Math.min(height, list.scrollHeight) + DROP_GAP && box.top > room;
        Object.assign(list.style, {left: `${box.left}px`, width: `${Math.max(box.width, width)}px`,
            top: above ? "auto" : `${box.bottom + DROP_GAP}px`,
            bottom: above ? `${window.innerHeight - box.top + DROP_GAP}px` : "auto"});
    };
    const items = () => list.querySelectorAll("[role=option]");
    let marked = -1;
    /** @param {number} at */
    const mark = (at) => {
        marked = at;
        items().forEach((item, index) => item.setAttribute("aria-selected", String(index === at)));
        const item = items()[at];
        if (item) item.scrollIntoView({block: "nearest"});
        if (item) input.setAttribute("aria-activedescendant", item.id);
        else input.removeAttribute("aria-activedescendant");
    };
    return {
        mark,
        marked: () => marked,
        move: ({key}) => {
            if (list.hidden || (key !== "ArrowDown" && key !== "ArrowUp")) return false;
            const count = items().length;
            mark(marked < 0 && key === "ArrowUp" ? count - 1 : (marked + (key === "ArrowDown" ? 1 : -1) + count) % count);
            return true;
        },
        show: () => {
            list.hidden = false;
            place();
            window.addEventListener("scroll", place, {capture: true, passive: true});
            input.setAttribute("aria-expanded", "true");
        },
        hide: () => {
            window.removeEventListener("scroll", place, {capture: true});
            list.hidden = true;
            input.setAttribute("aria-expanded", "false");
            mark(-1);
        },
    };
}
