/** The LoRA file that training continues from, and facts about it. */

import {api, failureOf, fill, h, later, mayWorkLater} from "../core/dom.js";
import {format} from "../core/format.js";
import {findings, fold, unread} from "../core/parts.js";
import {field, fieldMakers} from "./fields.js";
import {form} from "./form.js";

const KEY = "network.network_weights";

/** @param {import("../core/types").Setting} setting network.network_weights @returns {import("./values").Field} */
function weightsField(setting) {
    const base = field(setting);
    const input = base.control;
    if (!(input instanceof HTMLInputElement)) return base;
    const found = h("div", {class: "tl-lora-info", "aria-live": "polite"});
    /** @type {AbortController|null} */
    let asking = null;
    let shown = "";
    base.element.append(found);
    input.placeholder = "empty: a new LoRA";
    input.addEventListener("change", () => read(true));

    /** @param {boolean} chosen by the user just now, so that the form adopts the file's sizes */
    async function read(chosen) {
        const name = String(form.get(KEY) || "").trim();
        if (!chosen && name === shown) return;
        shown = name;
        if (asking) asking.abort();
        if (!name) {
            fill(found);
            return;
        }
        asking = new AbortController();
        try {
            const info = await api(`lora/info?name=${encodeURIComponent(name)}`,
                {quiet: true, signal: asking.signal});
            fill(found, describe(info));
            if (chosen && !info.problem) form.take({network: info.settings});
        } catch (error) {
            const failure = failureOf(error);
            if (failure.name === "AbortError") return;
            const passing = mayWorkLater(failure);  // otherwise it is about the file, which the check of the form reports too
            fill(found, passing ? unread("What is in this LoRA", error, () => {
                shown = "";
                return read(chosen);
            }) : null);
            if (chosen && !passing) base.problem(form.inWords(failure.message));
        }
    }

    const readSoon = later(() => read(false), 400);
    const refresh = () => {
        base.refresh();
        readSoon();
    };
    readSoon();
    return {...base, refresh};
}

/** @param {import("./answers").LoraInfo} info */
function describe(info) {
    const layers = [{count: info.unet_layers, where: "in the UNet"},
        {count: info.text_encoder_layers, where: "in the text encoder"}]
        .filter(({count}) => count).map(({count, where}) => `${format.plural(count, "layer")} ${where}`).join(", ");
    const length = [info.epochs ? format.plural(info.epochs, "epoch") : "",
        info.steps ? format.plural(info.steps, "step") : ""].filter(Boolean).join(", ");
    const model = [info.base_model, info.family].filter(Boolean).join(", ");
    const rows = [["Type", info.words], ["Changes", layers], ["Trained on", model],
        ["Trigger word", info.activation_tag], ["Frequent tags", info.tags.join(", ")], ["Trained for", length],
        ["Note", info.comment], ["Size", format.bytes(info.bytes)]].filter(([, value]) => value);
    const says = Object.entries(info.metadata);
    const end = info.problem ? findings([{level: "error",
        text: `It cannot be trained further: it ${info.problem}.`}]) : h("p", {class: "tl-note"},
        "Training continues from this file, which stays unchanged. Type, rank and alpha come from it.");
    return [h("dl", {class: "tl-facts"}, rows.map(([title, value]) => [h("dt", {}, title), h("dd", {}, value)])),
        end, says.length ? fold(`All metadata of the file (${says.length})`,
            h("dl", {class: "tl-facts tl-facts-all"}, says.map(([key, value]) =>
                [h("dt", {}, key), h("dd", {}, value)]))) : null];
}

Object.assign(fieldMakers, {[KEY]: weightsField});
