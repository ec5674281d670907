/** The queue: "+2 queued" in the bar of the Train tab, the list that it opens, and the same list in Runs. */

import {h, on, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, setLabel} from "../../core/parts.js";
import {runs} from "../watch.js";
import {beforeAt, dropPosition} from "./order.js";
import {QueueRow} from "./row.js";
import {holdAfterFailure, holdQueue, moveRun, queue} from "./state.js";

/** @typedef {import("../../core/types").RunSummary} RunSummary */

export class QueueList {
    /** @param {() => string} [current] the id of the run shown in the bar, empty for none; missing in Runs */
    constructor(current) {
        this.current = current;
        this.open = !current;
        this.dragged = "";
        /** @type {Map<string, QueueRow>} */
        this.rows = new Map();
        this.toggle = button("", {kind: "quiet", id: current ? "tl_queued" : undefined, hidden: true, click: () => {
            this.open = !this.open;
            this.show();
        }});
        this.said = h("span", {class: "tl-hidden-text", role: "status"});
        this.about = h("p", {class: "tl-note tl-queue-about"});
        this.hold = button("Hold queue", {small: true, icon: "pause", title: "Start no further training until you release " +
            "the queue. It stays on hold when the webui is restarted.", click: () => this.holding(true)});
        this.release = button("Release queue", {small: true, kind: "primary", icon: "play", click: () => this.holding(false)});
        this.tick = h("input", {type: "checkbox", on: {change: () => this.afterFailure()}});
        this.list = h("ol", {class: "tl-queue", "aria-label": "Runs in the queue"});
        this.element = h("section", {class: "tl-queue-box", hidden: true, "aria-label": "Queue"},
            h("div", {class: "tl-queue-head"}, h("h4", {class: "tl-queue-title"}, "Queue"), this.about, this.hold, this.release),
            this.list, h("label", {class: "tl-tick tl-queue-failure"}, this.tick, "Hold the queue if a run fails"), this.said);
        this.watchDrags();
        on("queue", () => this.show());
    }

    show() {
        const waiting = runs.waiting();
        const current = this.current ? this.current() : "";
        const others = waiting.filter((run) => run.id !== current).length;
        const anything = others > 0 || queue.on_hold || waiting.some((run) => run.on_hold);
        this.toggle.hidden = !anything;
        setLabel(this.toggle, `${others ? `+${format.number(others)} queued` : "Queue"}${queue.on_hold ? ", on hold" : ""}`);
        if (!anything && this.current) this.open = false;
        this.toggle.setAttribute("aria-expanded", String(this.open));
        this.element.hidden = !this.open || !(anything || (!this.current && waiting.length));
        this.hold.hidden = queue.on_hold;
        this.release.hidden = !queue.on_hold;
        setText(this.about, queue.problem || holdText());
        if (!this.tick.disabled) this.tick.checked = queue.after_failure;
        this.element.classList.toggle("tl-queue-stopped", queue.on_hold);
        if (!this.dragged) this.place(waiting);
    }

    /** @param {RunSummary[]} waiting */
    place(waiting) {
        waiting.forEach((run, index) => {
            const row = this.rows.get(run.id) || new QueueRow(run.id, (id, by) => this.move(id, by));
            this.rows.set(run.id, row);
            row.show(run, index, waiting.length);
            const {activeElement: focused} = document;
            if (this.list.children[index] === row.element) return;
            const inside = focused instanceof HTMLElement && row.element.contains(focused) ? focused : null;
            this.list.insertBefore(row.element, this.list.children[index] || null);
            if (inside) inside.focus();  // moving the row has taken it
        });
        for (const [id, row] of this.rows) {
            if (waiting.some((run) => run.id === id)) continue;
            row.element.remove();
            this.rows.delete(id);
        }
    }

    /** @param {string} id @param {number} by */
    move(id, by) {
        const ids = runs.waiting().map((run) => run.id);
        this.put(id, ids.indexOf(id) + by);
    }

    /** @param {string} id @param {number} to its new position, from 0 */
    async put(id, to) {
        const ids = runs.waiting().map((run) => run.id);
        const before = beforeAt(ids, id, to);
        if (before === null) return;
        await moveRun(id, before).catch(() => {});  // already reported by a toast
        await runs.refreshList();
        const order = runs.waiting();
        const index = order.findIndex((run) => run.id === id);
        if (index >= 0) setText(this.said, `${order[index].name} is now ${index + 1} of ${order.length}.`);
    }

    /** @param {boolean} held */
    async holding(held) {
        await holdQueue(held).catch(() => {});  // already reported by a toast
        runs.refresh();
    }

    async afterFailure() {
        this.tick.disabled = true;
        await holdAfterFailure(this.tick.checked).catch(() => {});  // already reported by a toast
        this.tick.disabled = false;
        this.show();
    }

    watchDrags() {
        const rowOf = (/** @type {Event} */ event) => event.target instanceof Element ?
            /** @type {HTMLElement|null} */ (event.target.closest(".tl-queue-row")) : null;
        const mark = (/** @type {HTMLElement|null} */ row, /** @type {boolean} */ below) => {
            for (const other of this.list.children) other.classList.remove("tl-drop-above", "tl-drop-below");
            if (row && row.dataset.id !== this.dragged) row.classList.add(below ? "tl-drop-below" : "tl-drop-above");
        };
        const lower = (/** @type {DragEvent} */ event, /** @type {HTMLElement} */ row) => {
            const {top, height} = row.getBoundingClientRect();
            return event.clientY > top + height / 2;
        };
        this.list.addEventListener("dragstart", (event) => {
            const row = rowOf(event);
            if (!row || !event.dataTransfer) return;
            this.dragged = row.dataset.id || "";
            event.dataTransfer.effectAllowed = "move";
            event.dataTransfer.setData("text/plain", this.dragged);
            row.classList.add("tl-dragged");
        });
        this.list.addEventListener("dragover", (event) => {
            const row = rowOf(event);
            if (!this.dragged || !row) return;
            event.preventDefault();
            event.stopPropagation();  // the webui takes dropped files for images
            mark(row, lower(event, row));
        });
        this.list.addEventListener("drop", (event) => {
            const row = rowOf(event);
            if (!this.dragged || !row) return;
            event.preventDefault();
            event.stopPropagation();
            const ids = runs.waiting().map((run) => run.id);
            this.put(this.dragged, dropPosition(ids, this.dragged, row.dataset.id || "", lower(event, row)));
        });
        this.list.addEventListener("dragend", (event) => {
            mark(null, false);
            rowOf(event)?.classList.remove("tl-dragged");
            this.dragged = "";
            this.show();
        });
    }
}

/** @returns {string} why no training starts, empty if the queue is not on hold */
function holdText() {
    if (!queue.on_hold) return "";
    return queue.failed ? `On hold, since ${queue.failed} failed: no further training starts until you release the queue.` :
        "On hold: no further training starts.";
}
