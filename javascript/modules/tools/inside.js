/** The content of a LoRA file: kind, ranks, norms by block, trained words, base model, settings. */

import {api, emit, fill, h} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, card, findings, fold, toast} from "../core/parts.js";
import {showTab} from "../core/shell.js";
import {drawNorms} from "../runs/block_norms.js";
import {form} from "../train/form.js";
import {openImport} from "../train/presets/import_settings.js";
import {tryLora} from "./result.js";

/** @typedef {import("./answers").LoraFacts} LoraFacts */

export class LoraInside {
    constructor() {
        this.drawn = "";
        this.element = h("div", {class: "tl-tool-inside", id: "tl_tool_inside"});
    }

    /** @param {string} path of the LoRA @param {LoraFacts|null} found */
    show(path, found) {
        this.element.hidden = !found;
        const key = JSON.stringify([path, found]);
        if (!found || key === this.drawn) return;
        this.drawn = key;
        const norms = h("div", {class: "tl-norms", role: "img"});
        if (Object.keys(found.norms).length) drawNorms(norms, Object.entries(found.norms));
        const metadata = Object.entries(found.metadata);
        fill(this.element, h("div", {class: "tl-row tl-wrap"},
            button("Train like this", {kind: "primary", small: true, id: "tl_inside_train", disabled: !found.job,
                title: found.job ? "" : "The file has no information about its training.", click: () => trainLike(path, found)}),
            button("Resume from this", {small: true, id: "tl_inside_resume", disabled: found.training_problem !== null,
                title: found.training_problem ? `It ${found.training_problem}.` : "", click: () => resumeFrom(path, found)}),
            button("Use in txt2img", {small: true, click: () => tryLora(path)})),
        warnings(found),
        h("dl", {class: "tl-facts"}, rows(found).map(([title, value]) => [h("dt", {}, title), h("dd", {}, value)])),
        Object.keys(found.norms).length ? card("What it changes, by block", {}, norms, h("p", {class: "tl-note"},
            "The norm of what each block changes at strength 1. IN blocks hold composition and pose, OUT blocks colors and " +
            "details.")) : null,
        found.tags.length ? card("Trained words", {}, h("ul", {class: "tl-tool-tags", tabindex: "0",
            "aria-label": "Tags of the captions, and how often each was trained"}, found.tags.map(([tag, count]) =>
            h("li", {}, tag, " ", h("span", {class: "tl-note"}, format.number(count)))))) : null,
        h("section", {class: "tl-card tl-folds"},
            found.job ? fold(`Its settings (from ${found.job_from})`, h("pre", {class: "tl-log", tabindex: "0"}, found.job)) : null,
            metadata.length ? fold(`All metadata (${metadata.length})`,
                h("dl", {class: "tl-facts tl-facts-all"}, metadata.map(([name, value]) => [h("dt", {}, name),
                    h("dd", {}, value)]))) : null));
    }
}

/** @param {LoraFacts} found */
function warnings(found) {
    const said = [];
    if (found.broken) said.push({level: "error", text: `Damaged: ${format.plural(found.broken, "tensor")} hold values that ` +
        "are not numbers."});
    if (found.training_problem) said.push({level: "note", text: `Training cannot resume from it: it ${found.training_problem}.`});
    if (found.norms_unknown) said.push({level: "note", text: `${format.plural(found.norms_unknown, "layer")} change by an ` +
        "amount that depends on the base model, and are not in the plot."});
    return said.length ? findings(said) : null;
}

/** @param {LoraFacts} found @returns {[string, string][]} */
function rows(found) {
    const {base_model: base} = found;
    /** @param {Record<string, number>} counts @returns {string} one value, or each with its number of layers */
    const counted = (counts) => {
        const values = Object.entries(counts);
        return values.length === 1 ? values[0][0] : values.map(([value, count]) => `${value} (${format.number(count)})`).join(", ");
    };
    const layers = [[found.unet_layers, "in the UNet"], [found.text_encoder_layers, "in text encoders"]]
        .filter(([count]) => count).map(([count, where]) => `${format.number(Number(count))} ${where}`).join(", ");
    /** @type {[string, string][]} */
    const all = [["Kind", found.kind], ["Size", format.bytes(found.bytes)], ["Layers", layers],
        ["Ranks", counted(found.ranks)], ["Alpha", counted(found.alphas)], ["Number format", Object.keys(found.precisions).join(", ")],
        ["Family", found.family || "not known"], ["Base model", [base.name, base.hash || base.old_hash].filter(Boolean).join(", ")],
        ["Trigger word", found.trigger], ["Made", base.date || ""],
        ["Settings not known here", found.unread_settings.join(", ")]];
    return all.filter(([, value]) => value);
}

/** @param {string} path @param {LoraFacts} found */
function trainLike(path, found) {
    openImport((source, before) => {
        showTab("train");
        emit("taken", {text: `The settings of ${found.name} are in the form.`, before});
    }, path);
}

/** @param {string} path @param {LoraFacts} found */
async function resumeFrom(path, found) {
    try {
        const info = await api(`lora/info?name=${encodeURIComponent(path)}`);
        if (info.problem) {
            toast("error", `Training cannot resume from ${found.name}: it ${info.problem}.`);
            return;
        }
        await form.load();
        const before = form.snapshot();
        form.take({network: {...info.settings, network_weights: info.name}});
        showTab("train");
        emit("taken", {text: `Training resumes from ${info.name}. Type, rank and alpha come from it; the file stays unchanged.`,
            before});
    } catch {
        // already reported by a toast
    }
}
