/** The queue behind the active run: "+2 queued" in the bar, and the list that it opens. */

import {fill, h} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, setLabel, toast} from "../core/parts.js";
import {runs} from "./watch.js";

export class QueueList {
    /** @param {() => string} current the id of the run shown in the bar, empty for none */
    constructor(current) {
        this.current = current;
        this.drawn = "";
        this.toggle = button("", {kind: "quiet", id: "tl_queued", hidden: true, click: () => {
            this.list.hidden = !this.list.hidden;
            this.toggle.setAttribute("aria-expanded", String(!this.list.hidden));
        }});
        this.toggle.setAttribute("aria-expanded", "false");
        this.list = h("ol", {class: "tl-queue", hidden: true, "aria-label": "Runs in the queue"});
    }

    show() {
        const waiting = runs.waiting().filter((run) => run.id !== this.current());
        const names = waiting.map((run) => run.id).join();
        if (names === this.drawn) return;
        this.drawn = names;
        setLabel(this.toggle, `+${format.number(waiting.length)} queued`);
        this.toggle.hidden = !waiting.length;
        if (!waiting.length) {
            this.list.hidden = true;
            this.toggle.setAttribute("aria-expanded", "false");
        }
        fill(this.list, waiting.map((run) => h("li", {class: "tl-queue-row", data: {id: run.id}},
            h("span", {class: "tl-run-row-name"}, run.name),
            h("span", {class: "tl-note"}, run.created ? `queued ${format.when(run.created)}` : ""),
            button("Remove from queue", {small: true, icon: "close", click: (event) => remove(run, event)}))));
    }
}

/** @param {import("../core/types").RunSummary} run @param {MouseEvent} event */
async function remove(run, event) {
    const pressed = event.currentTarget;
    if (pressed instanceof HTMLButtonElement) pressed.disabled = true;
    try {
        await runs.control(run.id, "withdraw");
        toast("good", `${run.name} was removed from the queue.`);
    } catch {
        if (pressed instanceof HTMLButtonElement) pressed.disabled = false;  // already reported by a toast
    }
}
