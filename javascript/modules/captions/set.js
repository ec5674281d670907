/**
 * The client-side model of the dataset open in the caption editor. All views listen to its messages (messages.d.ts):
 *
 *   opened      another dataset           view    shown images or tags changed    cells    image data arrived
 *   selection   selection or current      edited  captions changed (numbers)      problem  error in the filter
 */

import {api, failureOf, later, store, url} from "../core/dom.js";
import {toast} from "../core/parts.js";
import {datasetSettings} from "../train/family.js";
import {form} from "../train/form.js";

/** @typedef {import("./answers").Cell} Cell */
/** @typedef {import("./answers").EditOutcome} EditOutcome */
/** @typedef {import("./answers").SetState} SetState */
/** @typedef {import("./answers").Shown} Shown */
/** @typedef {import("./messages").SetMessages} SetMessages */
/** @typedef {import("./routes").CaptionEdits} CaptionEdits */
/** @typedef {import("./routes").CaptionRoutes} CaptionRoutes */
/** @typedef {{quiet?: boolean, signal?: AbortSignal}} Options */

const BATCH = 200;
const CONFLICT = 409;
const REOPEN = 410;

export class CaptionSet extends EventTarget {
    /** @param {() => Record<string, unknown>} [settings] of the dataset, those of the form by default */
    constructor(settings = datasetSettings) {
        super();
        this.settings = settings;
        this.folder = "";
        this.session = "";
        /** @type {import("./answers").Opened|null} the response of captions/open, updated by later ones */
        this.about = null;
        /** @type {number[]} the shown images, in order */
        this.numbers = [];
        /** @type {Map<number, Cell>} the data of images, by number */
        this.cells = new Map();
        /** @type {Shown["tags"]} */
        this.tags = [];
        /** @type {Pick<Shown, "different_tags"|"without_caption"|"masks"|"hint">} of the shown images */
        this.shown = {different_tags: 0, without_caption: 0, masks: 0, hint: null};
        this.filter = "";
        this.sort = store.get("captions.sort", "name");
        this.tagPart = "";
        /** @type {Set<number>} */
        this.selected = new Set();
        /** @type {number|null} */
        this.current = null;
        this.anchor = 0;
        /** @type {Map<number, string>} why images were suspicious in the last run on this dataset, by number */
        this.suspects = new Map();
        /** @type {Set<number>} */
        this.wanted = new Set();
        /** @type {Set<number>} */
        this.asked = new Set();
        /** @type {AbortController|null} the current view request */
        this.viewing = null;
        this.sizesTimer = 0;
        this.sizesMissing = false;
        /** @type {Promise<unknown>} the last queued edit */
        this.turn = Promise.resolve();
        this.viewSoon = later(() => this.view(), 30);
        this.fetchSoon = later(() => this.fetch(), 25);
    }

    /** @template {keyof SetMessages} K @param {K} name @param {SetMessages[K]} [detail] */
    notify(name, detail) {
        this.dispatchEvent(new CustomEvent(name, {detail}));
    }

    /** @template {keyof SetMessages} K @param {K} name @param {(detail: SetMessages[K]) => void} listener */
    when(name, listener) {
        this.addEventListener(name, (event) => listener(/** @type {CustomEvent} */ (event).detail));
    }

    get isOpen() {
        return this.session !== "";
    }

    /** @returns {string} the caption separator */
    get separator() {
        return this.about ? this.about.separator : ",";
    }

    /** @returns {string} the trigger word of the Train tab */
    get activationTag() {
        return form.text("dataset.activation_tag").trim();
    }

    /** @param {string} folder @returns {Promise<void>} rejects with the server's error */
    async open(folder) {
        const answer = await api("captions/open", {body: {folder, settings: this.settings()}, quiet: true});
        const same = answer.folder === this.folder && answer.session === this.session;
        this.folder = answer.folder;
        this.session = answer.session;
        this.about = answer;
        if (!same) {
            this.forget();
            this.filter = "";
            this.tagPart = "";
        }
        for (const message of answer.messages) toast("info", message);
        this.notify("opened", {same});
        await this.view();
    }

    forget() {
        this.cells.clear();
        this.asked.clear();
        this.selected.clear();
        this.current = null;
    }

    /** Request the shown images and tags; cancels an older request. */
    async view() {
        if (!this.isOpen) return;
        if (this.viewing) this.viewing.abort();
        const mine = this.viewing = new AbortController();
        const body = {filter: this.filter, sort: this.sort, tag_part: this.tagPart, selected: this.kept};
        try {
            const answer = await this.ask("view", body, {quiet: true, signal: mine.signal});
            if ("problem" in answer) {
                this.notify("problem", answer.problem);
                return;
            }
            this.take(answer);
            this.numbers = answer.numbers;
            this.tags = answer.tags;
            this.shown = answer;
            this.dropGone(answer.gone);
            this.notify("problem", null);
            this.notify("view");
            this.waitForSizes(answer);
        } catch (error) {
            const {name, message, problems} = failureOf(error);
            if (name !== "AbortError") toast("error", message, {problems});
        }
    }

    /** Poll until the server has read all image sizes, then reload the images. @param {Shown} answer */
    waitForSizes(answer) {
        clearTimeout(this.sizesTimer);
        if (answer.sizes_ready) {
            if (this.sizesMissing) this.invalidate([...this.cells.keys()]);
            this.sizesMissing = false;
            return;
        }
        this.sizesMissing = true;
        this.sizesTimer = window.setTimeout(() => this.view(), 1000);
    }

    /** @returns {number[]} the selected and current images, which a filter does not change */
    get kept() {
        return this.current === null ? [...this.selected] : [...new Set([...this.selected, this.current])];
    }

    /** @param {number[]} gone images that are no longer in the dataset */
    dropGone(gone) {
        for (const number of gone) this.selected.delete(number);
        if (this.current !== null && gone.includes(this.current)) this.current = null;
        this.notify("selection");
    }

    /** @returns {number[]} the selected images that are shown */
    get selectedShown() {
        return this.numbers.filter((number) => this.selected.has(number));
    }

    /** Invert the selection among the shown images. */
    invert() {
        this.select(this.numbers.filter((number) => !this.selected.has(number)));
    }

    /** @returns {Promise<number|null>} the next shown image without a caption, wrapping around */
    async nextWithoutCaption() {
        const filter = this.filter.trim() ? `(${this.filter}) AND nocaption` : "nocaption";
        const answer = await this.ask("view", {filter, sort: this.sort, most_tags: 0});
        if ("problem" in answer || !answer.numbers.length) return null;
        const places = new Map(this.numbers.map((number, place) => [number, place]));
        const at = this.current === null ? -1 : places.get(this.current) ?? -1;
        return answer.numbers.find((number) => (places.get(number) ?? -1) > at) ?? answer.numbers[0];
    }

    /** @param {string} text @param {boolean} [atOnce] */
    setFilter(text, atOnce = false) {
        if (text === this.filter) return;
        this.filter = text;
        if (atOnce) this.view();
        else this.viewSoon();
    }

    /** @param {string} sort */
    setSort(sort) {
        this.sort = sort;
        store.set("captions.sort", sort);
        this.view();
    }

    /** @param {string} part */
    setTagPart(part) {
        this.tagPart = part;
        this.viewSoon();
    }

    /**
     * Request the data of images; "cells" is sent when it arrives.
     * @param {number[]} numbers
     */
    need(numbers) {
        this.wanted = new Set(numbers.filter((number) => !this.cells.has(number) && !this.asked.has(number)));
        if (this.wanted.size) this.fetchSoon();
    }

    async fetch() {
        const numbers = [...this.wanted].slice(0, BATCH);
        if (!numbers.length) return;
        for (const number of numbers) {
            this.wanted.delete(number);
            this.asked.add(number);
        }
        try {
            const {cells} = await this.ask("cells", {numbers});
            for (const cell of cells) this.cells.set(cell.number, cell);
            this.notify("cells", cells.map((cell) => cell.number));
        } catch {
            // a toast shows the error; visible images are requested again on the next redraw
        }
        for (const number of numbers) this.asked.delete(number);
        if (this.wanted.size) this.fetch();
    }

    /** @param {number[]} numbers */
    invalidate(numbers) {
        for (const number of numbers) this.cells.delete(number);
        this.notify("edited", numbers);
    }

    /** @param {{path: string, version: string}} cell @returns {string} the URL of a thumbnail, at most `size` pixels */
    image(cell, size = 256) {
        const query = new URLSearchParams({folder: this.folder, session: this.session, path: cell.path,
            size: String(size), v: cell.version});
        return url(`captions/image?${query}`);
    }

    /**
     * @template {keyof CaptionRoutes} R
     * @param {R} route below captions/ @param {object} [body] @param {Options} [options] for `api`
     * @returns {Promise<CaptionRoutes[R]>}
     */
    async ask(route, body = {}, options = {}) {
        const full = {folder: this.folder, session: this.session, ...body};
        try {
            const answer = /** @type {unknown} */ (await api(`captions/${route}`, {...options, body: full, quiet: true}));
            return /** @type {CaptionRoutes[R]} */ (answer);
        } catch (caught) {
            const error = failureOf(caught).status === REOPEN ? await this.reopen(caught) : caught;
            const {name, message, problems, status} = failureOf(error);
            if (!options.quiet && name !== "AbortError") toast(status === REOPEN ? "info" : "error", message, {problems});
            throw error;
        }
    }

    /** The webui has closed the set. @param {unknown} error that says so @returns {Promise<unknown>} what to report */
    async reopen(error) {
        this.forget();
        return this.open(this.folder).then(() => error, (other) => other);
    }

    /** Update the dataset's state from a response. @param {SetState} answer */
    take(answer) {
        if (!this.about) return;
        this.about = {...this.about, revision: answer.revision, undo: answer.undo, redo: answer.redo,
            pictures: answer.pictures};
    }

    /**
     * Queue an edit after pending ones, so that fast typing and clicking loses nothing.
     * @param {keyof CaptionEdits} route
     * @param {object|(() => object|null|Promise<object|null>)} body the request body, or a function called for it after
     *     pending edits; null sends nothing
     * @param {{quiet?: boolean}} [options] quiet: no toast on success
     * @returns {Promise<EditOutcome|null>} null on failure
     */
    edit(route, body, options = {}) {
        const outcome = this.turn.then(() => this.carryOut(route, body, options));
        this.turn = outcome;
        return outcome;
    }

    /**
     * @param {keyof CaptionEdits} route @param {object|(() => object|null|Promise<object|null>)} given
     * @param {{quiet?: boolean}} options
     */
    async carryOut(route, given, options) {
        this.notify("busy", true);
        try {
            const body = typeof given === "function" ? await given() : given;
            if (!body) return null;
            const before = this.about?.pictures;
            const outcome = /** @type {EditOutcome} */ (await this.ask(route, body, {quiet: true}));
            this.take(outcome);
            this.invalidate(outcome.pictures === before ? outcome.changed : [...this.cells.keys()]);
            await this.view();
            if (!options.quiet) this.report(outcome, route);
            return outcome;
        } catch (error) {
            await this.fail(route, error, given);
            return null;
        } finally {
            this.notify("busy", false);
        }
    }

    /** @param {EditOutcome} outcome @param {keyof CaptionEdits} route */
    report(outcome, route) {
        const step = route === "undo" ? "Undone: " : route === "redo" ? "Redone: " : "";
        toast("good", `${step}${outcome.label}${/[.!?]$/.test(outcome.label) ? "" : "."}`, {problems: outcome.left});
    }

    /**
     * Report a failed edit. After a conflict, reload the captions and offer to undo or redo without the changed files.
     * @param {keyof CaptionEdits} route @param {unknown} error @param {unknown} given the request body
     */
    async fail(route, error, given) {
        const {message, problems, status} = failureOf(error);
        toast("error", message, {problems});
        if (status !== CONFLICT) return;
        this.invalidate([...this.cells.keys()]);
        await this.view();
        if (route === "undo" || route === "redo") {
            this.notify("conflict", {verb: route === "undo" ? "Undo" : "Redo", files: problems, again: (leave) => this[route](leave)});
        } else if (route === "history/go") {
            const {edit, seen, back} = /** @type {{edit: number, seen: string, back: boolean}} */ (given);
            this.notify("conflict", {verb: back ? "Undo" : "Redo", files: problems, again: (leave) => this.goTo(edit, seen, back, leave)});
        }
    }

    /** @param {string[]} [leave] files to skip */
    undo(leave = []) {
        return this.edit("undo", () => (this.about && this.about.undo ? {leave} : null));
    }

    /** @param {string[]} [leave] files to skip */
    redo(leave = []) {
        return this.edit("redo", () => (this.about && this.about.redo ? {leave} : null));
    }

    /**
     * Undo up to and including an edit of the history, or redo up to one that was undone.
     * @param {number} edit @param {string} seen the state shown @param {boolean} back @param {string[]} [leave]
     */
    goTo(edit, seen, back, leave = []) {
        return this.edit("history/go", {edit, seen, back, leave});
    }

    /** Reload if other programs changed anything; `tagged`: reload in any case, since confidences have changed. */
    async refresh({tagged = false} = {}) {
        if (!this.isOpen) return;
        try {
            const answer = await this.ask("refresh", {}, {quiet: true});
            if (!tagged && !answer.changed && this.about && answer.revision === this.about.revision) return;
            this.take(answer);
            this.invalidate([...this.cells.keys()]);
            await this.view();
        } catch {
            // the next action fails with the same error and shows it
        }
    }

    /** @param {boolean} selectedOnly else all shown @returns {{numbers?: number[], filter?: string}} request fields */
    target(selectedOnly) {
        return selectedOnly ? {numbers: [...this.selected]} : {filter: this.filter};
    }

    /** @param {number} number @param {{toggle?: boolean, extend?: boolean}} [how] */
    choose(number, how = {}) {
        if (how.extend && this.current !== null && this.numbers.includes(this.anchor)) {
            const ends = [this.numbers.indexOf(this.anchor), this.numbers.indexOf(number)].sort((a, b) => a - b);
            this.selected = new Set(this.numbers.slice(Math.max(0, ends[0]), ends[1] + 1));
        } else if (how.toggle) {
            if (this.selected.has(number)) this.selected.delete(number);
            else this.selected.add(number);
            this.anchor = number;
        } else {
            this.selected = new Set([number]);
            this.anchor = number;
        }
        this.current = number;
        this.notify("selection");
    }

    /** @param {number[]} numbers */
    select(numbers) {
        this.selected = new Set(numbers);
        if (numbers.length && (this.current === null || !this.selected.has(this.current))) this.current = numbers[0];
        this.notify("selection");
    }
}
