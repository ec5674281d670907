/** A run in the queue: its place, GPU and buttons. */

import {fill, h, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, icon, toast} from "../../core/parts.js";
import {runs} from "../watch.js";
import {editQueued} from "./edit.js";
import {chooseGpu, holdRun, queue} from "./state.js";

/** @typedef {import("../../core/types").RunSummary} RunSummary */

export class QueueRow {
    /** @param {string} id of the run @param {(id: string, by: number) => void} move by one up (-1) or down (1) */
    constructor(id, move) {
        this.id = id;
        /** @type {RunSummary|null} */
        this.run = null;
        this.handle = h("button", {type: "button", class: "tl-queue-handle", title: "Drag, or press the arrow keys, to move it",
            on: {keydown: (event) => this.pressed(event, move)}}, icon("grip"));
        this.number = h("span", {class: "tl-queue-number"});
        this.name = h("span", {class: "tl-run-row-name"});
        this.about = h("span", {class: "tl-note"});
        this.gpu = h("select", {class: "tl-input tl-select tl-queue-gpu", hidden: true,
            on: {change: () => act(chooseGpu(id, this.gpu.value))}});
        this.gpus = "";
        const tool = (/** @type {string} */ label, /** @type {string} */ name, /** @type {() => unknown} */ click) =>
            button(label, {small: true, kind: "quiet", icon: name, iconOnly: true, click});
        this.up = tool("Move up", "up", () => move(id, -1));
        this.down = tool("Move down", "down", () => move(id, 1));
        this.hold = button("Hold", {small: true, icon: "pause", title: "Keep this run waiting until you release it",
            click: () => act(holdRun(id, true))});
        this.release = button("Release", {small: true, icon: "play", click: () => act(holdRun(id, false))});
        this.edit = button("Edit", {small: true, icon: "pen", title: "Open its settings in the form and save them back",
            click: () => this.run && editQueued(this.run)});
        this.remove = button("Remove", {small: true, icon: "close", title: "Remove it from the queue",
            click: (event) => removeFromQueue(this.run, event)});
        this.element = h("li", {class: "tl-queue-row", data: {id}, draggable: "true"}, this.handle, this.number,
            h("span", {class: "tl-queue-words"}, this.name, this.about), this.gpu,
            h("span", {class: "tl-queue-tools"}, this.up, this.down, this.hold, this.release, this.edit, this.remove));
    }

    /** @param {KeyboardEvent} event @param {(id: string, by: number) => void} move */
    pressed(event, move) {
        const by = {ArrowUp: -1, ArrowDown: 1}[event.key];
        if (!by) return;
        event.preventDefault();
        move(this.id, by);
    }

    /** @param {RunSummary} run @param {number} index @param {number} count */
    show(run, index, count) {
        this.run = run;
        setText(this.number, `${format.number(index + 1)}.`);
        setText(this.name, run.name);
        this.handle.setAttribute("aria-label", `Move ${run.name}, ${index + 1} of ${count}`);
        setText(this.about, run.on_hold ? "on hold" : run.created ? `queued ${format.when(run.created)}` : "");
        this.element.classList.toggle("tl-queue-held", run.on_hold);
        this.up.disabled = index === 0;
        this.down.disabled = index === count - 1;
        this.hold.hidden = run.on_hold;
        this.release.hidden = !run.on_hold;
        this.edit.disabled = run.step > 0 || run.has_training_state;
        this.edit.title = this.edit.disabled ? "A resumed run keeps its settings" :
            "Open its settings in the form and save them back";
        this.showGpu(run);
    }

    /** @param {RunSummary} run */
    showGpu(run) {
        const {gpus} = queue;
        this.gpu.hidden = gpus.length < 2;
        this.gpu.setAttribute("aria-label", `GPU for ${run.name}`);
        if (gpus.join() !== this.gpus) {
            this.gpus = gpus.join();
            fill(this.gpu, h("option", {value: "any"}, "Any free GPU"), [...gpus].sort().map((gpu) =>
                h("option", {value: gpu}, gpu === gpus[gpus.length - 1] ? `${gpu} (the webui's)` : gpu)));
        }
        if (document.activeElement !== this.gpu) this.gpu.value = run.any_gpu ? "any" : run.device || "";
    }
}

/** @param {Promise<unknown>} request */
async function act(request) {
    await request.catch(() => {});  // already reported by a toast
    runs.refresh();
}

/** @param {RunSummary|null} run @param {MouseEvent} event */
async function removeFromQueue(run, event) {
    const pressed = event.currentTarget;
    if (!run) return;
    if (pressed instanceof HTMLButtonElement) pressed.disabled = true;
    try {
        await runs.control(run.id, "withdraw");
        toast("good", `${run.name} was removed from the queue.`);
    } catch {
        if (pressed instanceof HTMLButtonElement) pressed.disabled = false;  // already reported by a toast
    }
}
