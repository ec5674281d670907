/** The summary of a run that has ended: files, proposed epoch, time by phase, disk. */

import {api, fill, h} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {card, unread} from "../../core/parts.js";

/** @typedef {import("../records").RunReport} RunReport */

export class RunReportCard {
    constructor() {
        this.list = h("dl", {class: "tl-report"});
        this.problem = h("div", {});
        this.element = card("Run summary", {}, this.problem, this.list);
        this.element.hidden = true;
        this.shown = "";
    }

    /** @param {import("../model.js").RunModel} run */
    show(run) {
        const ended = !run.open && run.steps.step.length > 0 && run.summary.state !== "damaged";
        const wanted = ended ? `${run.id} ${run.ending ? run.ending.time : ""} ${run.missing.length} ${run.proposed}` : "";
        if (wanted === this.shown) return;
        const same = wanted.split(" ")[0] === this.shown.split(" ")[0];
        this.shown = wanted;
        if (!same || !ended) this.element.hidden = true;
        if (ended) this.ask(run.id, wanted);
    }

    /** @param {string} id @param {string} wanted the state of the run to show */
    async ask(id, wanted) {
        const report = await api(`runs/${encodeURIComponent(id)}/report`, {quiet: true}).catch((failure) => ({failure}));
        if (this.shown !== wanted) return;
        const failed = "failure" in report;
        fill(this.problem, failed ? unread("The summary", report.failure, () => this.ask(id, wanted)) : null);
        fill(this.list, failed ? null : rows(report).map(([name, ...values]) => h("div", {class: "tl-report-row"}, h("dt", {}, name),
            values.map((value) => h("dd", {}, value)))));
        this.element.hidden = false;
    }
}

/** @param {RunReport} report @returns {string[][]} name and values */
function rows({files, best, best_reason: reason, warnings, phases, files_bytes: bytes, folder_bytes: folder,
    free_bytes: free}) {
    const kept = files.filter((file) => file.bytes !== null);
    const gone = files.length - kept.length;
    const made = kept.length ? `${format.plural(kept.length, "LoRA file")}, ${format.bytes(bytes)}` : "No LoRA file";
    const last = kept[kept.length - 1];
    const found = [["Made", `${made}${last ? `; the last is ${last.name}` : ""}` +
        `${gone ? `. ${format.plural(gone, "file is", "files are")} no longer there` : ""}`]];
    if (best) found.push(["Best epoch", `${best}. ${reason}`]);
    if (warnings.length) found.push(["Warnings", `${format.number(warnings.length)}, shown above`]);
    found.push(["Time", phases.map((phase) => `${phase.label} ${format.duration(phase.seconds)}`).join(", ")]);
    found.push(["Disk", `${format.bytes(folder)} in the run's folder${free === null ? "" : `, ${format.bytes(free)} free`}`]);
    return found;
}
