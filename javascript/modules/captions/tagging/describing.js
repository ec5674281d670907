/** The progress of the webui's interrogator, which describes images before the run that writes the captions. */

import {api, fill, h, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, findings} from "../../core/parts.js";
import {poll} from "../../core/shell.js";

export class Describing {
    /** @param {(run: string) => void} started called with the run that follows, empty if none does */
    constructor(started) {
        this.started = started;
        /** @type {import("../answers").DescribingState|null} */
        this.state = null;
        this.sentence = h("p", {class: "tl-subtitle", "aria-live": "polite"});
        this.fill = h("div", {class: "tl-bar-fill"});
        this.bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Images described", "aria-valuemin": "0",
            "aria-valuemax": "100"}, this.fill);
        this.stop = button("Stop", {icon: "stop", small: true, kind: "danger", click: () => this.askStop()});
        this.said = h("div", {});
        this.element = h("div", {class: "tl-group", hidden: true, id: "tl_describing"},
            h("div", {class: "tl-row"}, h("div", {style: "flex: 1; min-width: 0"}, this.sentence), this.stop), this.bar, this.said);
        this.watched = false;
        this.poller = poll(() => this.ask(), () => (this.open ? 1 : 0));
        this.poller.wake();
    }

    /** @returns {boolean} whether images are being described */
    get open() {
        return this.watched || Boolean(this.state && this.state.state === "describing");
    }

    /** Watch what has just been started. */
    watch() {
        this.watched = true;
        this.poller.wake();
    }

    async ask() {
        const before = this.open;
        this.state = await api("tagging/describing", {quiet: true});
        this.watched = false;
        if (before || this.open) this.show();
        if (before && !this.open) this.started(this.state.run);
    }

    async askStop() {
        this.stop.disabled = true;
        try {
            await api("tagging/describing/stop", {method: "POST", body: {}});
        } catch {
            // a toast shows the error
        }
        this.poller.wake();
    }

    show() {
        const {state} = this;
        if (!state) return;
        const share = state.total ? state.done / state.total : 0;
        this.element.hidden = state.state === "idle" || (state.state === "finished" && !state.text);
        const far = `${format.number(state.done)} of ${format.number(state.total)}`;
        setText(this.sentence, state.state !== "describing" ? "" : state.waits
            ? `Waiting for the webui to finish what it is doing · ${far}` : `Describing images with the webui's interrogator · ${far}`);
        this.stop.hidden = this.bar.hidden = state.state !== "describing";
        this.stop.disabled = false;
        this.fill.style.width = `${(100 * share).toFixed(1)}%`;
        this.bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
        fill(this.said, state.state !== "describing" && state.text
            ? findings([{level: state.state === "failed" ? "error" : "note", text: state.text}]) : null);
    }
}
