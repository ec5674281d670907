/** "When finished": the choice for the end of the queue, in the bar of the Train tab and at the queue in Runs. */

import {dialog as openDialog} from "../../core/dialog.js";
import {fill, h, on, setText} from "../../core/dom.js";
import {button, toast} from "../../core/parts.js";
import {prepare} from "./signals.js";
import {choose} from "./state.js";
import {aboutChoice, noteOfChoice} from "./words.js";

/** @typedef {import("../records").FinishedState} FinishedState */

export class FinishedChoice {
    /** @param {string} id of the select box @param {{explained?: boolean}} [options] whether what it waits for is shown below */
    constructor(id, {explained = false} = {}) {
        this.select = h("select", {class: "tl-input tl-select", id, on: {change: () => this.change()}});
        this.label = h("label", {class: "tl-finished-label", for: id}, "When finished");
        this.about = h("p", {class: explained ? "tl-note tl-finished-about" : "tl-hidden-text", id: `${id}_about`});
        this.select.setAttribute("aria-describedby", this.about.id);
        this.element = h("div", {class: explained ? "tl-finished tl-finished-box" : "tl-finished", hidden: true}, this.label,
            this.select, this.about);
        this.explained = explained;
        this.drawn = "";
        /** @type {FinishedState|null} */
        this.state = null;
        on("finished", (state) => this.show(state));
    }

    async change() {
        const {state, select} = this;
        if (!state) return;
        const {value} = select;
        select.disabled = true;
        const command = value === "command" ? state.command : "";
        const problem = await prepare(value);
        if (problem) toast("warning", problem);
        if (!problem && (value !== "command" || await confirmed(command))) {
            await choose(value, command).catch(() => {});  // already reported by a toast
        }
        select.disabled = false;
        select.value = (this.state || state).choice;
    }

    /** @param {FinishedState} state */
    show(state) {
        const drawn = JSON.stringify(state.choices);
        if (drawn !== this.drawn) {
            this.drawn = drawn;
            const {value} = this.select;
            fill(this.select, state.choices.map(({name, label, refused}) => h("option", {value: name,
                disabled: Boolean(refused)}, label)));
            this.select.value = value;
        }
        this.state = state;
        if (!this.select.disabled) this.select.value = state.choice;
        const about = this.explained ? noteOfChoice(state) : aboutChoice(state);
        this.element.title = aboutChoice(state);
        setText(this.about, about);
        this.about.hidden = !about;
        this.element.classList.toggle("tl-finished-on", state.choice !== "nothing");
        this.element.hidden = false;
    }
}

/**
 * Show the command in full before it is chosen: whatever can write the webui's settings can write it.
 * @param {string} command @returns {Promise<boolean>} whether the user wants it
 */
function confirmed(command) {
    return new Promise((resolve) => {
        let wanted = false;
        const yes = button("Run this command", {kind: "primary", click: () => {
            wanted = true;
            shown.close();
        }});
        const shown = openDialog("Run this command when the queue is finished?", [
            h("pre", {class: "tl-log tl-finished-command", tabindex: "0", "aria-label": "Command"}, command),
            h("p", {class: "tl-note"}, "It is in the webui's Settings, under Train LoRA, and runs as the user who started the " +
                "webui. Cancel if you did not write it.")],
        [button("Cancel", {click: () => shown.close()}), yes]);
        shown.classList.add("tl-small-dialog");
        shown.addEventListener("close", () => resolve(wanted));
    });
}
