/** A dialog to choose a folder or file on the server, with thumbnails. */

import {dialog} from "./dialog.js";
import {api, failureOf, fill, h, later, setText} from "./dom.js";
import {format} from "./format.js";
import {button, icon, setLabel} from "./parts.js";

/** @typedef {import("./types").PlaceEntry} PlaceEntry */
/** @typedef {import("./types").Places} Places */

/**
 * @param {{kind: string, what: string, path: string, chosen: (value: string) => void}} request
 * @returns {HTMLDialogElement}
 */
export function openBrowser(request) {
    return new Browser(request).window;
}

class Browser {
    /** @param {{kind: string, what: string, path: string, chosen: (value: string) => void}} request */
    constructor(request) {
        this.request = request;
        this.files = request.kind === "lora" || request.kind === "tagger";
        /** @type {Places|null} */
        this.shown = null;
        this.question = 0;
        this.hidden = h("input", {type: "checkbox", on: {change: () => this.go(this.folder)}});
        this.search = h("input", {type: "search", class: "tl-input tl-places-search", placeholder: "Find in this folder",
            "aria-label": "Find in this folder", autocomplete: "off", spellcheck: "false", on: {
                input: later(() => this.go(this.folder, 0, true), 150),
                keydown: (event) => this.onSearchKey(event)}});
        this.way = h("nav", {class: "tl-places-way", "aria-label": "Where you are"});
        this.about = h("p", {class: "tl-note", role: "status"});
        this.list = h("ul", {class: "tl-places", "aria-label": "Folders", on: {
            keydown: (event) => this.onKey(event)}});
        this.pages = h("div", {class: "tl-row tl-places-pages"});
        this.choose = button("Choose this folder", {kind: "primary", click: () => this.take(this.folder), disabled: true});
        this.window = dialog(`Choose ${request.what}`, [h("div", {class: "tl-places-head"}, this.way, this.search),
            this.about, this.list, this.pages],
        [h("label", {class: "tl-tick"}, this.hidden, "Show hidden folders"),
            button("Cancel", {click: () => this.window.close()}), this.files ? null : this.choose]);
        this.window.classList.add("tl-places-dialog");
        this.begin(request.path);
    }

    /** Open at `path`; a folder without subfolders is shown in its parent. @param {string} path */
    async begin(path) {
        await this.go(path);
        const {shown} = this;
        if (!shown || !shown.folder || shown.entries.length || shown.above === null || this.files) return;
        await this.go(shown.above);
        const at = this.shown ? this.shown.entries.findIndex((entry) => entry.path === shown.folder) : -1;
        if (at < 0) await this.go(shown.folder);
        else this.focusRow(at, true);
    }

    get folder() {
        return this.shown ? this.shown.folder : "";
    }

    /** @param {string} path @param {number} [start] @param {boolean} [searching] */
    async go(path, start = 0, searching = false) {
        const mine = this.question += 1;
        if (!searching && path !== this.folder) this.search.value = "";
        const body = {kind: this.request.kind, path, start, part: this.search.value.trim(), hidden: this.hidden.checked};
        this.list.classList.add("tl-dim");
        try {
            const answer = await api("places", {body, quiet: true});
            if (mine !== this.question) return;
            this.shown = answer;
            this.show(answer, searching);
        } catch (error) {
            if (mine !== this.question) return;
            if (this.shown === null && path) {
                await this.go("");
                setText(this.about, failureOf(error).message);
            } else setText(this.about, failureOf(error).message);
        }
        this.list.classList.remove("tl-dim");
    }

    /** @param {Places} places @param {boolean} searching */
    show(places, searching) {
        const {folder, itself, entries, start, total} = places;
        fill(this.way, button("Start", {kind: "quiet", small: true, icon: "folder", click: () => this.go("")}),
            places.way.map(({name, path}) => [icon("right"),
                button(name, {kind: "quiet", small: true, click: () => this.go(path)})]));
        setText(this.about, places.note || this.words(itself, total));
        fill(this.list, entries.map((entry, index) => this.row(entry, index)));
        if (!entries.length) fill(this.list, h("li", {class: "tl-hit-none"}, this.search.value ? "Nothing here has that name."
            : this.files ? "There are no folders or files of this kind here." : "There are no folders here.",
        itself && !this.search.value ? images(itself) : null));
        fill(this.pages, total > entries.length ? [
            button("Previous", {small: true, disabled: !start, click: () => this.go(folder, Math.max(0, start - 60), true)}),
            h("span", {class: "tl-note"}, `${format.number(start + 1)} to ${format.number(start + entries.length)} of ${format.number(total)}`),
            button("Next", {small: true, disabled: start + entries.length >= total,
                click: () => this.go(folder, start + entries.length, true)})] : null,
        places.cut ? h("span", {class: "tl-note"}, "Only the first 50,000 names of this folder are read.") : null);
        this.choose.disabled = !folder;
        this.search.hidden = !folder;
        this.way.scrollLeft = this.way.scrollWidth;
        setLabel(this.choose, itself && itself.images ? `Choose this folder (${format.plural(itself.images, "image")})`
            : "Choose this folder");
        if (!searching) this.focusRow(0);
    }

    /** @param {PlaceEntry|null} itself @param {number} total */
    words(itself, total) {
        if (!itself) return this.request.kind === "images" ? "Recent folders and starting points." : "Starting points.";
        if (itself.images === null) return format.plural(total, "entry", "entries");
        if (!itself.images) return "No images in this folder itself.";
        return `${format.plural(itself.images, "image")} here${itself.more ? " or more" : ""}, ` +
            `${itself.captions === itself.images ? "all" : format.number(itself.captions || 0)} with a caption.`;
    }

    /** @param {PlaceEntry} entry @param {number} index */
    row(entry, index) {
        const known = entry.problem ? h("span", {class: "tl-places-problem"}, entry.problem)
            : entry.images ? h("span", {class: "tl-note"}, `${format.plural(entry.images, "image")}${entry.more ? " or more" : ""}, ` +
                `${entry.captions === entry.images ? "all captioned" : `${format.number(entry.captions || 0)} captioned`}`) : null;
        const where = this.folder || entry.name === entry.path ? null : h("span", {class: "tl-places-where"}, entry.path);
        return h("li", {class: "tl-place", tabindex: index ? "-1" : "0",
            title: entry.path, data: {path: entry.path}, on: {click: () => this.open(entry)}},
        icon(entry.folder ? "folder" : "file"),
        h("div", {class: "tl-places-words"}, h("span", {class: "tl-places-name"}, entry.name), where, known),
        images(entry),
        entry.images && !this.files ? button("Choose", {small: true, click: (event) => {
            event.stopPropagation();
            this.take(entry.value);
        }}) : null);
    }

    /** @param {PlaceEntry} entry */
    open(entry) {
        if (entry.folder) this.go(entry.path);
        else this.take(entry.value);
    }

    /** @param {string} value */
    take(value) {
        this.window.close();
        this.request.chosen(value);
    }

    /** @param {number} index @param {boolean} [current] whether it is the current choice */
    focusRow(index, current = false) {
        const rows = /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll(".tl-place")]);
        const row = rows[Math.max(0, Math.min(index, rows.length - 1))];
        if (!row) return;
        for (const other of rows) other.tabIndex = other === row ? 0 : -1;
        if (current) row.setAttribute("aria-current", "true");
        row.focus();
    }

    /** Arrow keys move, Enter opens, Backspace or the left arrow goes to the parent. @param {KeyboardEvent} event */
    onKey(event) {
        const rows = [...this.list.querySelectorAll(".tl-place")];
        const at = rows.indexOf(/** @type {Element} */ (event.target));
        const entry = at >= 0 && this.shown ? this.shown.entries[at] : null;
        /** @type {Record<string, () => void>} */
        const acts = {ArrowDown: () => this.focusRow(at + 1), ArrowUp: () => this.focusRow(at - 1),
            Home: () => this.focusRow(0), End: () => this.focusRow(rows.length - 1), Backspace: () => this.up(),
            ArrowLeft: () => this.up()};
        if (entry) Object.assign(acts, {Enter: () => this.open(entry), ArrowRight: () => entry.folder && this.go(entry.path)});
        if (!(event.key in acts) || (at < 0 && event.key !== "Backspace")) return;
        acts[event.key]();
        event.preventDefault();
    }

    up() {
        if (this.shown && this.folder) this.go(this.shown.above || "");
    }

    /** @param {KeyboardEvent} event */
    onSearchKey(event) {
        if (event.key === "ArrowDown") this.focusRow(0);
        else if (event.key === "Enter" && this.shown && this.shown.entries.length === 1) this.open(this.shown.entries[0]);
        else return;
        event.preventDefault();
    }
}

/** @param {PlaceEntry} entry @returns {HTMLElement} its first images */
function images(entry) {
    return h("div", {class: "tl-places-images"}, entry.thumbnails.map((src) => h("img", {src, alt: "", loading: "lazy",
        decoding: "async", on: {error: (event) => event.currentTarget.remove()}})));
}
