/** What the tests ask the page, there before its own scripts: faint texts, things without room, where things stand. */
"use strict";

/** For every text in sight the contrast (WCAG 2) between its colour and the colours painted behind it. */
function faintTexts() {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const known = new Map();
    const rgba = (text) => {
        if (!known.has(text)) {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = text;
            canvas.fillRect(0, 0, 1, 1);
            const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
            known.set(text, [r, g, b, a / 255]);
        }
        return known.get(text);
    };
    const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
    const behind = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
        layers.push(rgba(getComputedStyle(document.body).getPropertyValue("--body-background-fill").trim() || "#fff"));
        return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
    };
    const light = (colour) => {
        const [r, g, b] = colour.map((value) => value / 255).map((value) =>
            value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const faint = [];
    const walker = document.createTreeWalker(document.getElementById("train_lora_root"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const text = walker.currentNode.nodeValue.trim();
        const inSight = element.offsetParent || element instanceof SVGElement;
        if (!text || !inSight || element.closest("[hidden], :disabled, option")) continue;
        const style = getComputedStyle(element);
        const back = behind(element);
        const ink = over(rgba(element instanceof SVGElement ? style.fill : style.color), back);
        const [high, low] = [light(ink), light(back)].sort((a, b) => b - a);
        const contrast = (high + 0.05) / (low + 0.05);
        const name = element.className.baseVal ?? element.className;
        if (contrast < 4.5) faint.push(`${contrast.toFixed(2)} ${text.slice(0, 40)} (${name})`);
    }
    return [...new Set(faint)];
}

/** Elements that stick out at the right of the page. */
function overflowing() {
    const width = document.documentElement.clientWidth;
    const wide = [...document.querySelectorAll("#train_lora_root *")].filter((element) => {
        const box = element.getBoundingClientRect();
        const scrolls = element.closest(".tl-samples-scroll, .tl-shape-columns, .tl-hidden-text");
        return box.width && !scrolls && box.right > width + 1;
    });
    return wide.map((element) => `${element.tagName} ${element.className}`);
}

/** Words that are cut off by their own box. */
function clippedLabels() {
    const words = "#train_lora_root :is(.tl-label, .tl-button-label, .tl-badge)";
    return [...document.querySelectorAll(words)]
        .filter((element) => element.offsetParent && element.scrollWidth > element.clientWidth + 1)
        .map((element) => element.textContent);
}

/** Where the cards, plots and buttons of the Train tab stand, down to the list that new files are added to. */
function places() {
    const things = "#tl-panel-train :is(.tl-card:not(.tl-folds), .tl-plot, .tl-actions .tl-button:not([hidden]))";
    return [...document.querySelectorAll(things)].map((element) => {
        const box = element.getBoundingClientRect();
        return [box.x, box.y, box.width].map(Math.round);
    });
}

/** Controls that a screen reader has no name for. */
function nameless() {
    const controls = "#train_lora_root :is(input, select, textarea, button)";
    return [...document.querySelectorAll(controls)].filter((element) => {
        const named = element.getAttribute("aria-label") || element.textContent.trim();
        return element.offsetParent && !named && !(element.labels && element.labels.length);
    }).map((element) => element.outerHTML.slice(0, 120));
}

/** Puts what the page's modules export on `window.TrainLora`, for tests that ask the page; values stay live. */
async function reachModules(modules) {
    const main = document.getElementById("train_lora_root").dataset.modules;
    const reached = {};
    const loaded = modules.map((path) => import(new URL(main.replace(/[^/]*$/, path), document.baseURI).href));
    for (const module of await Promise.all(loaded)) {
        for (const name of Object.keys(module)) {
            if (!(name in reached)) Object.defineProperty(reached, name, {enumerable: true, get: () => module[name]});
        }
    }
    window.TrainLora = reached;
}

/** Remembers which parts are unfolded, for `emptyForm`. */
function noteFolds() {
    for (const fold of document.querySelectorAll("#tl-panel-train details[open]")) fold.dataset.opened = "";
}

/** Sets the sub-tab Train back to what it is in a browser that has nothing stored, but for a run that is shown. */
async function emptyForm() {
    const {checkJob, emit, form, setStrict} = window.TrainLora;
    const panel = document.querySelector("#tl-panel-train");
    for (const open of document.querySelectorAll("dialog[open]")) open.close();
    for (const toast of document.querySelectorAll(".tl-toast")) toast.remove();
    document.activeElement.blur();
    document.querySelector("#tl-tab-train").click();
    setStrict(false);
    form.set("dataset.train_data_dir", "");
    emit("reload");  // so that the word which goes now is kept for no folder
    form.restore({});
    const search = panel.querySelector("input[type=search]");
    search.value = "";
    search.dispatchEvent(new Event("input"));
    for (const note of panel.querySelectorAll(".tl-why")) note.hidden = true;
    for (const shown of panel.querySelectorAll("button")) {
        if (["Hide", "Hide what has no effect"].includes(shown.textContent)) shown.click();
    }
    for (const fold of panel.querySelectorAll("details")) fold.open = "opened" in fold.dataset;
    if (!document.querySelector("#tl_names").checked) document.querySelector("#tl_names").click();
    window.scrollTo(0, 0);
    await checkJob();
    localStorage.clear();
}

document.addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");  // as the webui's own style sheet
    style.textContent = "div.gradio-container { overflow: visible !important } footer { display: none !important }";
    document.head.append(style);
});

Object.assign(window, {faintTexts, overflowing, clippedLabels, places, nameless, reachModules, noteFolds, emptyForm});
