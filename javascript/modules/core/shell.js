/** The root of the tab: its sub-tabs, the toast area, and polling that slows down while the tab is not visible. */

import {ApiError, emit, fill, h, store} from "./dom.js";

/** @type {HTMLElement} set when the tab is mounted, before anything is built in it */
let tabRoot;
/** @type {HTMLElement} as above */
export let banner;
/** @type {HTMLElement|null} */
export let toastShelf = null;

/**
 * @typedef {object} SubTab
 * @property {string} id
 * @property {string} title
 * @property {number} order from left to right
 * @property {(panel: HTMLElement) => void} build fills the panel; called once
 * @property {() => unknown} [shown] called each time the sub-tab becomes visible
 */

/** @type {SubTab[]} */
const tabs = [];
/** @type {Map<string, {button: HTMLElement, panel: HTMLElement}>} */
const parts = new Map();
let current = "";

/** @param {SubTab} tab */
export function registerTab(tab) {
    tabs.push(tab);
    tabs.sort((one, other) => one.order - other.order);
}

/** @param {string} id */
export function showTab(id) {
    if (!parts.has(id) || current === id) return;
    current = id;
    store.set("tab", id);
    for (const [name, part] of parts) {
        const chosen = name === id;
        part.panel.hidden = !chosen;
        part.button.setAttribute("aria-selected", String(chosen));
        part.button.tabIndex = chosen ? 0 : -1;
    }
    notifyShown();
}

function notifyShown() {
    const tab = tabs.find((candidate) => candidate.id === current);
    if (tab && tab.shown) tab.shown();
}

/** @param {KeyboardEvent} event */
function onTabKey(event) {
    /** @type {Record<string, number>} */
    const steps = {ArrowRight: 1, ArrowLeft: -1};
    if (!(event.key in steps)) return;
    const index = tabs.findIndex((tab) => tab.id === current);
    const next = tabs[(index + steps[event.key] + tabs.length) % tabs.length];
    showTab(next.id);
    /** @type {{button: HTMLElement}} */ (parts.get(next.id)).button.focus();
    event.preventDefault();
}

/** @param {SubTab} tab */
function tabButton(tab) {
    return h("button", {type: "button", class: "tl-tab", role: "tab", id: `tl-tab-${tab.id}`,
        "aria-controls": `tl-panel-${tab.id}`, "aria-selected": "false", tabindex: "-1",
        on: {click: () => showTab(tab.id)}}, tab.title);
}

/** @param {SubTab} tab */
function tabPanel(tab) {
    return h("div", {class: "tl-panel", role: "tabpanel", id: `tl-panel-${tab.id}`, hidden: true,
        "aria-labelledby": `tl-tab-${tab.id}`});
}

/** @param {HTMLElement} root */
function mount(root) {
    const list = h("div", {class: "tl-tabs", role: "tablist", "aria-label": "Train LoRA", on: {keydown: onTabKey}});
    tabRoot = root;
    banner = h("div", {class: "tl-banner-place"});
    toastShelf = h("div", {class: "tl-toasts", "aria-live": "polite"});
    fill(root, list, banner);
    for (const tab of tabs) {
        const part = {button: tabButton(tab), panel: tabPanel(tab)};
        parts.set(tab.id, part);
        list.append(part.button);
        root.append(part.panel);
    }
    root.append(toastShelf);
    root.addEventListener("keydown", keepFromWebui);
    for (const tab of tabs) tab.build(/** @type {{panel: HTMLElement}} */ (parts.get(tab.id)).panel);
    emit("mounted");
    const last = store.get("tab", "train");
    showTab(parts.has(last) ? last : tabs[0].id);
    new IntersectionObserver((entries) => {
        if (entries.some((entry) => entry.isIntersecting)) notifyShown();
    }).observe(list);
}

/**
 * Keep key events from the webui's shortcuts, which fail in a tab without a Generate button.
 * @param {KeyboardEvent} event
 */
function keepFromWebui(event) {
    if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.altKey))) {
        event.stopPropagation();
    }
}

/** Fill the tab once gradio has rendered it, and again whenever gradio renders it again. */
export function mountWhenThere() {
    const root = document.getElementById("train_lora_root");
    if (!root || root === tabRoot || !tabs.length) return;
    if (tabRoot) moveTo(root);
    else mount(root);
}

/**
 * Move our elements, including input, to the new root after gradio has rendered its components again.
 * @param {HTMLElement} root
 */
function moveTo(root) {
    fill(root, [...tabRoot.childNodes]);
    root.addEventListener("keydown", keepFromWebui);
    tabRoot = root;
}

/** @returns {boolean} whether the tab is visible */
export function inSight() {
    return !document.hidden && Boolean(tabRoot) && tabRoot.offsetParent !== null;
}

/**
 * Call `ask` repeatedly, at intervals of `seconds`, or at least `away` seconds while the tab is not visible.
 * @param {() => Promise<unknown>} ask @param {() => number} seconds 0 pauses until `wake`
 * @param {number} [away]
 * @returns {{wake: () => void}} wake: asks immediately
 */
export function poll(ask, seconds, away = 5) {
    let timer = 0;
    let asking = false;
    let again = false;
    const rest = () => {
        const pause = seconds();
        if (pause > 0) timer = window.setTimeout(run, 1000 * (inSight() ? pause : Math.max(pause, away)));
    };
    const run = async () => {
        clearTimeout(timer);
        if (asking) {
            again = true;
            return;
        }
        asking = true;
        try {
            await ask();
        } catch (error) {
            if (!(error instanceof ApiError)) console.error(error);
        }
        asking = false;
        if (again) {
            again = false;
            run();
        } else {
            rest();
        }
    };
    document.addEventListener("visibilitychange", () => {
        if (!document.hidden && seconds() > 0) run();
    });
    return {wake: run};
}

export const currentTab = () => current;


export {tabRoot as root};
