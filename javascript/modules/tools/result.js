/** The result of a tool: sentences, the curve by rank, and the file with its actions. */

import {api, fill, h} from "../core/dom.js";
import {format} from "../core/format.js";
import {askHost, host} from "../core/host.js";
import {button, toast} from "../core/parts.js";
import {toTxt2img} from "../runs/txt2img.js";
import {RankCurve} from "./curve.js";

/** @typedef {import("../runs/model.js").RunModel} RunModel */
/** @typedef {import("./answers").ToolResult} ToolResult */

export class ToolOutcome {
    /** @param {{rank: (rank: number) => void, inspect: (path: string) => void}} options click handlers */
    constructor(options) {
        this.options = options;
        this.sentences = h("div", {class: "tl-tool-sentences"});
        this.curve = new RankCurve(options.rank);
        this.file = h("div", {class: "tl-tool-file"});
        this.element = h("div", {class: "tl-tool-outcome", id: "tl_tool_outcome"}, this.file, this.sentences, this.curve.element);
        this.drawn = "";
    }

    /** @param {RunModel} run @param {ToolResult} result @param {number} rank in the form, 0 for none */
    show(run, result, rank) {
        const {saved} = run;
        const last = saved[saved.length - 1];
        const key = JSON.stringify([run.id, last, result]);
        if (key === this.drawn) return;
        this.drawn = key;
        fill(this.sentences, result.sentences.map((text) => h("p", {}, text)));
        this.curve.show(result.curve, rank);
        fill(this.file, last ? this.row(last, run.summary.command === "merge") : null);
    }

    /** @param {import("../core/types").SavedEvent} event @param {boolean} isCheckpoint */
    row({path, name}, isCheckpoint) {
        const actions = isCheckpoint ? [button("Select in the webui", {kind: "primary", small: true, id: "tl_tool_select",
            click: () => selectInWebui(path)})] : [
            button("Use in txt2img", {kind: "primary", small: true, id: "tl_tool_try", click: () => tryLora(path)}),
            button("Inspect", {small: true, click: () => this.options.inspect(path)})];
        return h("div", {class: "tl-tool-made"}, h("div", {class: "tl-tool-made-words"}, h("p", {}, "Saved as ", h("b", {}, name)),
            h("p", {class: "tl-note"}, path)), h("div", {class: "tl-row tl-wrap"}, actions));
    }
}

/** @param {string} lora its path, or its name in the webui's folder */
export async function tryLora(lora) {
    try {
        toTxt2img(await api("tools/try", {body: {name: lora}}));
    } catch {
        // already reported by a toast
    }
}

/** Calls the webui's own function, which loads the checkpoint and updates the list at the top. @param {string} path */
async function selectInWebui(path) {
    await askHost();
    const file = host && host.checkpoints.find((one) => one.path === path);
    const select = /** @type {{selectCheckpoint?: (title: string) => void}} */ (window).selectCheckpoint;
    if (file && typeof select === "function") {
        select(file.title);
        toast("good", `The webui loads ${file.title}.`);
    } else {
        toast("info", `Choose ${format.fileName(path)} in the list of checkpoints at the top of the page.`);
    }
}
