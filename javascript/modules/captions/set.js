/**
 * The dataset that is open in the caption editor, as the page knows it. Everything that is drawn follows its events:
 *
 *   opened      another dataset      view    other pictures or tags are shown      cells    pictures have arrived
 *   selection   chosen or current    edited  captions have changed (numbers)       problem  the filter is not understood
 */

import {api, failureOf, later, store, url} from "../core/dom.js";
import {toast} from "../core/parts.js";
import {familyDefaults} from "../train/family.js";
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
    constructor() {
        super();
        this.folder = "";
        this.session = "";
        /** @type {import("./answers").Opened|null} the answer of captions/open, with what later answers changed */
        this.about = null;
        /** @type {number[]} the pictures that are shown, in their order */
        this.numbers = [];
        /** @type {Map<number, Cell>} what is known of pictures */
        this.cells = new Map();
        /** @type {Shown["tags"]} */
        this.tags = [];
        /** @type {Pick<Shown, "different_tags"|"without_caption"|"hint">} of the pictures that are shown */
        this.shown = {different_tags: 0, without_caption: 0, hint: null};
        this.filter = "";
        this.sort = store.get("captions.sort", "name");
        this.tagPart = "";
        /** @type {Set<number>} */
        this.selected = new Set();
        /** @type {number|null} */
        this.current = null;
        this.anchor = 0;
        /** @type {Set<number>} */
        this.wanted = new Set();
        /** @type {Set<number>} */
        this.asked = new Set();
        /** @type {AbortController|null} the request for the view */
        this.viewing = null;
        this.sizesTimer = 0;
        this.sizesMissing = false;
        /** @type {Promise<unknown>} the edit that is under way */
        this.turn = Promise.resolve();
        this.viewSoon = later(() => this.view(), 30);
        this.fetchSoon = later(() => this.fetch(), 25);
    }

    /** @template {keyof SetMessages} K @param {K} name @param {SetMessages[K]} [detail] */
    tell(name, detail) {
        this.dispatchEvent(new CustomEvent(name, {detail}));
    }

    /** @template {keyof SetMessages} K @param {K} name @param {(detail: SetMessages[K]) => void} listener */
    when(name, listener) {
        this.addEventListener(name, (event) => listener(/** @type {CustomEvent} */ (event).detail));
    }

    get isOpen() {
        return this.session !== "";
    }

    /** @returns {string} what stands between two tags */
    get separator() {
        return this.about ? this.about.separator : ",";
    }

    /** @returns {string} the trigger word of the Train tab */
    get activationTag() {
        return form.text("dataset.activation_tag").trim();
    }

    /** @param {string} folder @returns {Promise<void>} rejects with the server's words */
    async open(folder) {
        const settings = {...familyDefaults("dataset"), ...form.job().dataset};
        delete settings.train_data_dir;
        const answer = await api("captions/open", {body: {folder, settings}, quiet: true});
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
        this.tell("opened", {same});
        await this.view();
    }

    forget() {
        this.cells.clear();
        this.asked.clear();
        this.selected.clear();
        this.current = null;
    }

    /** Ask which pictures and tags are shown now; the answer to an older question is dropped. */
    async view() {
        if (!this.isOpen) return;
        if (this.viewing) this.viewing.abort();
        const mine = this.viewing = new AbortController();
        const body = {filter: this.filter, sort: this.sort, tag_part: this.tagPart, selected: this.kept};
        try {
            const answer = await this.ask("view", body, {quiet: true, signal: mine.signal});
            if ("problem" in answer) {
                this.tell("problem", answer.problem);
                return;
            }
            this.take(answer);
            this.numbers = answer.numbers;
            this.tags = answer.tags;
            this.shown = answer;
            this.dropGone(answer.gone);
            this.tell("problem", null);
            this.tell("view");
            this.waitForSizes(answer);
        } catch (error) {
            const {name, message, problems} = failureOf(error);
            if (name !== "AbortError") toast("error", message, {problems});
        }
    }

    /** Sizes are read in the background; when they are there, the pictures are asked for anew. @param {Shown} answer */
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

    /** @returns {number[]} what stays selected or current under every filter, as long as it is in the dataset */
    get kept() {
        return this.current === null ? [...this.selected] : [...new Set([...this.selected, this.current])];
    }

    /** @param {number[]} gone pictures that are no longer in the dataset */
    dropGone(gone) {
        for (const number of gone) this.selected.delete(number);
        if (this.current !== null && gone.includes(this.current)) this.current = null;
        this.tell("selection");
    }

    /** @returns {number[]} the selected pictures that are shown */
    get selectedShown() {
        return this.numbers.filter((number) => this.selected.has(number));
    }

    /** Select all pictures shown that are not selected. */
    invert() {
        this.select(this.numbers.filter((number) => !this.selected.has(number)));
    }

    /** @returns {Promise<number|null>} the next picture shown without a caption, from the first again after the last */
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
     * Let pictures be fetched; "cells" tells when they are there.
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
            this.tell("cells", cells.map((cell) => cell.number));
        } catch {
            // the message is shown; what is still in sight is asked for again when something moves
        }
        for (const number of numbers) this.asked.delete(number);
        if (this.wanted.size) this.fetch();
    }

    /** @param {number[]} numbers */
    invalidate(numbers) {
        for (const number of numbers) this.cells.delete(number);
        this.tell("edited", numbers);
    }

    /** @param {{path: string, version: string}} cell @returns {string} the address of a picture, `size` pixels at most */
    image(cell, size = 256) {
        const query = new URLSearchParams({folder: this.folder, session: this.session, path: cell.path,
            size: String(size), v: cell.version});
        return url(`captions/image?${query}`);
    }

    /**
     * @template {keyof CaptionRoutes} R
     * @param {R} route below captions/ @param {object} [body] @param {Options} [options] of `api`
     * @returns {Promise<CaptionRoutes[R]>}
     */
    async ask(route, body = {}, options = {}) {
        const full = {folder: this.folder, session: this.session, ...body};
        try {
            return /** @type {CaptionRoutes[R]} */ (
                await api(`captions/${route}`, {...options, body: full, quiet: true}));
        } catch (error) {
            const {name, message, problems, status} = failureOf(error);
            if (status === REOPEN) {
                this.forget();
                await this.open(this.folder);
            }
            if (!options.quiet && name !== "AbortError") {
                toast(status === REOPEN ? "info" : "error", message, {problems});
            }
            throw error;
        }
    }

    /** Takes over what every answer says of the dataset. @param {SetState} answer */
    take(answer) {
        if (!this.about) return;
        this.about = {...this.about, revision: answer.revision, undo: answer.undo, redo: answer.redo,
            pictures: answer.pictures};
    }

    /**
     * Carry out an edit when those before it are done, so that nothing is lost that is typed or clicked quickly.
     * @param {keyof CaptionEdits} route
     * @param {object|(() => object|null|Promise<object|null>)} body what is sent, or a function that gives it when the
     *     turn has come; null sends nothing
     * @param {{quiet?: boolean}} [options] quiet: no toast when it went well
     * @returns {Promise<EditOutcome|null>} null if it could not be done
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
        this.tell("busy", true);
        try {
            const body = typeof given === "function" ? await given() : given;
            if (!body) return null;
            const outcome = /** @type {EditOutcome} */ (await this.ask(route, body, {quiet: true}));
            this.take(outcome);
            this.invalidate(outcome.changed);
            await this.view();
            if (!options.quiet) this.report(outcome, route);
            return outcome;
        } catch (error) {
            await this.fail(route, error, given);
            return null;
        } finally {
            this.tell("busy", false);
        }
    }

    /** @param {EditOutcome} outcome @param {keyof CaptionEdits} route */
    report(outcome, route) {
        const step = route === "undo" ? "Undone: " : route === "redo" ? "Redone: " : "";
        toast("good", `${step}${outcome.label}${/[.!?]$/.test(outcome.label) ? "" : "."}`, {problems: outcome.left});
    }

    /**
     * Files that were changed meanwhile are shown as they are now; undo can continue without them.
     * @param {keyof CaptionEdits} route @param {unknown} error @param {unknown} given what was sent
     */
    async fail(route, error, given) {
        const {message, problems, status} = failureOf(error);
        toast("error", message, {problems});
        if (status !== CONFLICT) return;
        this.invalidate([...this.cells.keys()]);
        await this.view();
        if (route === "undo" || route === "redo") {
            this.tell("conflict", {verb: route === "undo" ? "Undo" : "Redo", files: problems, again: (leave) => this[route](leave)});
        } else if (route === "history/go") {
            const {edit, seen, back} = /** @type {{edit: number, seen: string, back: boolean}} */ (given);
            this.tell("conflict", {verb: back ? "Undo" : "Redo", files: problems, again: (leave) => this.goTo(edit, seen, back, leave)});
        }
    }

    /** @param {string[]} [leave] files that are left as they are */
    undo(leave = []) {
        return this.edit("undo", () => (this.about && this.about.undo ? {leave} : null));
    }

    /** @param {string[]} [leave] files that are left as they are */
    redo(leave = []) {
        return this.edit("redo", () => (this.about && this.about.redo ? {leave} : null));
    }

    /**
     * To before an edit of the history, or on to after one that was undone.
     * @param {number} edit @param {string} seen the history's state that was shown @param {boolean} back @param {string[]} [leave]
     */
    goTo(edit, seen, back, leave = []) {
        return this.edit("history/go", {edit, seen, back, leave});
    }

    /** Look whether other programs have changed anything; `tagged`: a tagger has, its confidences at least. */
    async refresh({tagged = false} = {}) {
        if (!this.isOpen) return;
        try {
            const answer = await this.ask("refresh", {}, {quiet: true});
            if (!tagged && !answer.changed && this.about && answer.revision === this.about.revision) return;
            this.take(answer);
            this.invalidate([...this.cells.keys()]);
            await this.view();
        } catch {
            // the next action meets the same trouble and tells it
        }
    }

    /** @param {boolean} selectedOnly @returns {{numbers?: number[], filter?: string}} for a request: these pictures, or all that are shown */
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
        this.tell("selection");
    }

    /** @param {number[]} numbers */
    select(numbers) {
        this.selected = new Set(numbers);
        if (numbers.length && (this.current === null || !this.selected.has(this.current))) this.current = numbers[0];
        this.tell("selection");
    }
}
