/** Progress and the buttons of one run: used in the bar of the Train tab and in run views. */

import {h} from "../core/dom.js";
import {button} from "../core/parts.js";
import {runs} from "./watch.js";

export class RunControls {
    /**
     * @param {() => import("./model.js").RunModel|null} current the run's model, null for none
     * @param {string} prefix of the buttons' ids
     */
    constructor(current, prefix) {
        this.current = current;
        this.busy = false;
        this.fill = h("div", {class: "tl-bar-fill"});
        this.bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Progress of the training",
            "aria-valuemin": "0", "aria-valuemax": "100"}, this.fill);
        this.pause = button("Pause", {icon: "pause", id: `${prefix}_pause`, click: () => this.act("pause")});
        this.resume = button("Resume", {kind: "primary", icon: "play", id: `${prefix}_resume`,
            click: () => this.act("resume")});
        this.stop = button("Stop", {kind: "danger", icon: "stop", id: `${prefix}_stop`,
            click: () => this.act("stop")});
        this.remove = button("Remove from queue", {icon: "close", id: `${prefix}_remove`,
            click: () => this.act("withdraw")});
        this.buttons = [this.pause, this.resume, this.stop, this.remove];
    }

    /** @param {import("./watch.js").Action} action */
    async act(action) {
        const run = this.current();
        if (run) await whileBusy(this, () => runs.control(run.id, action));
    }

    /** @returns {boolean} whether there is an active or queued run */
    get live() {
        const run = this.current();
        return Boolean(run && run.open);
    }

    show() {
        const run = this.current();
        const state = run && run.open ? run.state : "";
        this.pause.hidden = !["running", "starting", "held", "pausing"].includes(state);
        this.pause.disabled = this.busy || state === "pausing";
        this.resume.hidden = state !== "paused";
        this.resume.disabled = this.busy;
        this.stop.hidden = !this.live || state === "waiting";
        this.remove.hidden = state !== "waiting";
        this.remove.disabled = this.busy;
        this.stop.disabled = this.busy || state === "stopping";
        this.showProgress(run && run.open ? run.progressNow().share : 0);
    }

    /** @param {number|null} share of completed work, null if unknown */
    showProgress(share) {
        this.bar.classList.toggle("tl-bar-unknown", share === null);
        this.bar.classList.toggle("tl-bar-idle", !this.live);
        this.fill.style.width = `${(100 * (share || 0)).toFixed(2)}%`;
        if (share === null) this.bar.removeAttribute("aria-valuenow");
        else this.bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    }
}

/**
 * Does `work`, with the part's buttons disabled meanwhile.
 * @param {{busy: boolean, show: () => void}} part @param {() => Promise<unknown>} work
 */
export async function whileBusy(part, work) {
    part.busy = true;
    part.show();
    await work().catch(() => null);  // already reported by a toast
    part.busy = false;
    part.show();
}
