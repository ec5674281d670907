/**
 * An input for a path on the server, with completion of folders and files and a button that opens the folder browser.
 * The kind of path decides what can be chosen; the server decides what is visible.
 *
 * Keys: up and down move, Tab and Enter take the marked entry (Tab also the common prefix of all), Escape closes the
 * list.
 */

import {api, fill, h, later, uniqueId} from "./dom.js";
import {openBrowser} from "./folder_browser.js";
import {format} from "./format.js";
import {button, dropDown} from "./parts.js";
import {longestCommon} from "./path_text.js";

const MOST_HEIGHT = 320;
const LEAST_WIDTH = 260;
const BAR_HEIGHT = 72;

/** @typedef {import("./types").PlaceEntry} PlaceEntry */

/**
 * @param {HTMLInputElement} input gets the completion, with "input" and "change" events
 * @param {string} kind the server's name for the kind of path
 * @param {{what?: string, browsed?: () => void}} [options] what: the thing to choose, for the browser's title;
 *     browsed: called after a choice in the browser
 * @returns {HTMLElement} the input with its button, to insert where the input would be
 */
export function pathBox(input, kind, options = {}) {
    const list = h("ul", {class: "tl-complete tl-path-list", role: "listbox", id: uniqueId("paths"), hidden: true,
        "aria-label": "Folders and files that fit"});
    Object.entries({role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false",
        "aria-controls": list.id, autocomplete: "off", spellcheck: "false"}).forEach(([name, value]) => input.setAttribute(name, value));
    input.removeAttribute("list");
    /** @type {PlaceEntry[]} */
    let offered = [];
    let question = 0;
    let wanted = false;
    const what = options.what || (kind === "lora" ? "a LoRA" : kind === "tagger" ? "an ONNX file" : "a folder");

    const shown = dropDown(input, list, {height: MOST_HEIGHT, width: LEAST_WIDTH, floor: () => window.innerHeight - BAR_HEIGHT});
    const hide = () => {
        shown.hide();
        question += 1;
        wanted = false;
    };
    /** @param {string} value */
    const put = (value) => {
        input.value = value;
        input.setSelectionRange(value.length, value.length);
        input.dispatchEvent(new Event("input", {bubbles: true}));
        input.scrollLeft = input.scrollWidth;
    };

    /** Take an entry; after a folder, completion continues inside it. @param {PlaceEntry} entry */
    const take = (entry) => {
        put(entry.folder ? withSlash(entry.value) : entry.value);
        if (!entry.folder) hide();
        input.dispatchEvent(new Event("change", {bubbles: true}));
    };

    /** @param {boolean} [always] also without input: the datasets used last */
    const fetchList = async (always = false) => {
        const mine = question += 1;
        const text = input.value;
        if (document.activeElement !== input || (!text.trim() && !always)) return hide();
        const {entries, more} = await api("places/complete", {body: {kind, text}, quiet: true})
            .catch(() => ({entries: [], more: false}));
        const asked = mine === question && input.value === text;  // otherwise a newer question is on its way
        if (!asked || document.activeElement !== input) return undefined;
        if (!entries.length || (entries.length === 1 && entries[0].value === text && !entries[0].folder)) return hide();
        const kept = offered[shown.marked()]?.value;
        offered = entries;
        fill(list, entries.map((entry) => option(entry, () => take(entry))),
            more ? h("li", {class: "tl-hit-none", role: "presentation"}, "More fit. Type on, or browse.") : null);
        shown.show();
        shown.mark(entries.findIndex(({value}) => value === kept));  // what was marked in the list for an earlier text
        return undefined;
    };
    const ask = later(() => wanted && fetchList(), 100);

    /** @returns {boolean} whether Tab completed anything */
    const completeByTab = () => {
        const marked = offered[shown.marked()];
        if (marked) take(marked);
        else if (offered.length === 1) take(offered[0]);
        else {
            const common = longestCommon(offered.map(({value}) => value));
            if (common.length <= input.value.length) return false;
            put(common);
        }
        return true;
    };

    const go = (/** @type {KeyboardEvent} */ event) => {
        const open = !list.hidden;
        const marked = offered[shown.marked()];
        if (event.key === "ArrowDown" && !open) fetchList(true);
        else if (open && marked && event.key === "Enter") take(marked);
        else if (open && event.key === "Tab" && !event.shiftKey) {
            if (!completeByTab()) return;
        } else if (open && event.key === "Escape") hide();
        else if (!shown.move(event)) {
            if (event.key === "Enter") hide();
            return;
        }
        event.preventDefault();
        event.stopImmediatePropagation();
    };
    input.addEventListener("keydown", go, {capture: true});
    input.addEventListener("input", () => {
        wanted = true;
        ask();
    });
    input.addEventListener("blur", () => {
        hide();
        showEnd();
    });
    /** Scroll to the end of a long path, its more significant part. */
    const showEnd = () => {
        input.title = input.value;
        requestAnimationFrame(() => {  // after the browser's own scrolling to the start on blur
            if (document.activeElement !== input) input.scrollLeft = input.scrollWidth;
        });
    };
    new IntersectionObserver(showEnd).observe(input);
    input.addEventListener("click", () => {
        if (!input.value.trim() && list.hidden) fetchList(true);
    });
    const browse = button("Browse", {icon: "folder", iconOnly: true, title: `Browse for ${what}`, click: () => {
        hide();
        openBrowser({kind, what, path: input.value, chosen: (value) => {
            put(value);
            hide();
            input.dispatchEvent(new Event("change", {bubbles: true}));
            if (options.browsed) options.browsed();
        }});
    }});
    browse.classList.add("tl-browse");
    return h("div", {class: "tl-pathbox"}, input, browse, list);
}

/** @param {PlaceEntry} entry @param {() => void} take */
function option(entry, take) {
    return h("li", {role: "option", id: uniqueId("path"), "aria-selected": "false", title: entry.value, on: {
        mousedown: (event) => {
            event.preventDefault();
            take();
        }}}, h("span", {class: "tl-path-name"}, entry.name), h("span", {class: "tl-complete-count"}, imagesOf(entry)));
}

/** @param {PlaceEntry} entry @returns {string} its image count, empty if not counted or 0 */
export function imagesOf(entry) {
    if (entry.problem) return entry.problem;
    if (!entry.folder || !entry.images) return "";
    return `${format.plural(entry.images, "image")}${entry.more ? " or more" : ""}`;
}

/** @param {string} folder */
function withSlash(folder) {
    if (/[/\\]$/.test(folder)) return folder;
    return folder + (folder.includes("\\") && !folder.includes("/") ? "\\" : "/");
}
