/** The card "Model": the checkpoint and VAE that the LoRA is trained on. */

import {fill, h, on, setText, uniqueId} from "../core/dom.js";
import {format} from "../core/format.js";
import {host as hostState} from "../core/host.js";
import {card, unread} from "../core/parts.js";
import {basesButton} from "./bases/panel.js";
import {PredictionNotice} from "../core/prediction.js";
import {askFamily, family as familyState, familyFailure} from "./family.js";
import {form} from "./form.js";
import {sectionBody} from "./sections/sections.js";

const FOLLOW = " ";
const INSIDE = "The checkpoint's own";

export function baseCard() {
    const checkpoint = picker("Checkpoint", "base.checkpoint", true);
    const vae = picker("VAE", "base.vae", true);
    const base = picker("Base model", "base.sdxl_base");
    const family = h("span", {class: "tl-pill", hidden: true});
    const note = h("p", {class: "tl-note"});
    const advice = h("p", {class: "tl-note", hidden: true});
    const prediction = new PredictionNotice();
    const failed = h("div", {});

    function show() {
        const host = hostState;
        if (!host) return;
        const loaded = host.checkpoint && host.checkpoint.path ? host.checkpoint : null;
        checkpoint.offer([[FOLLOW, loaded ? `${loaded.title} (loaded now)` : "None loaded: choose one"]],
            host.checkpoints || []);
        const follows = !form.isChanged("base.checkpoint") && host.vae && host.vae.path ? host.vae : null;
        vae.offer(follows ? [[FOLLOW, `${follows.title} (loaded now)`], ["", INSIDE]] : [[FOLLOW, INSIDE]],
            host.vaes || []);
        const xl = familyState && familyState.name === "SDXL" ? familyState : null;
        base.element.hidden = !xl;
        if (xl) {
            const {detected} = xl;
            base.offer([[FOLLOW, detected ? `${detected} (detected)` : "Not detected: treated as plain SDXL"]],
                (form.settings.get("base.sdxl_base")?.choices || []).map((one) => ({path: one, title: one})));
        }
        const name = familyState ? [familyState.name, familyState.base].filter(Boolean).join(", ") : "";
        setText(advice, familyState ? form.inWords((familyState.notes || []).join(" ")) : "");
        advice.hidden = advice.textContent === "";
        family.hidden = !name;
        setText(family, name);
        setText(note, sentence(loaded));
        fill(failed, familyFailure ? unread("The family of the checkpoint", familyFailure, askFamily) : null);
    }

    /** @param {import("../core/types").NamedFile|null} loaded */
    function sentence(loaded) {
        if (familyState && familyState.problem) return familyState.problem;
        if (form.isChanged("base.checkpoint")) return "Used instead of the checkpoint loaded in the webui.";
        if (loaded) return "The LoRA is trained on what the webui has loaded when you press Train.";
        return "The webui has no checkpoint loaded. Load one, or choose one here.";
    }

    on("host", show);
    on("family", show);
    on("plan", (plan) => prediction.show(plan.prediction));
    on("setting", ({keys}) => {
        if (keys.some((key) => key.startsWith("base."))) show();
    });
    show();
    return card("Model", {step: 2, id: "tl_base", aside: family},
        h("div", {class: "tl-fields"}, checkpoint.element, vae.element, base.element), h("div", {class: "tl-row"}, basesButton()),
        sectionBody("Model"), prediction.element, failed, note, advice);
}

/**
 * A list whose first entry follows the webui; any other entry is saved as the user's own choice.
 * @param {string} label @param {string} key of the setting @param {boolean} [wide]
 */
function picker(label, key, wide = false) {
    const id = uniqueId("pick");
    const problem = h("p", {class: "tl-field-problem", id: `${id}-problem`, "aria-live": "polite"});
    const select = h("select", {id, class: "tl-input tl-select", "aria-describedby": `${id}-problem`,
        on: {change: () => (select.value === FOLLOW ? form.reset(key) : form.set(key, select.value))}});
    const element = h("div", {class: `tl-field${wide ? " tl-wide" : ""}`, data: {key}},
        h("div", {class: "tl-field-head"}, h("label", {class: "tl-label", for: id}, label)),
        h("div", {class: "tl-control"}, select), problem);
    let offered = "";

    /** @param {string[][]} first path and title @param {{path: string, title: string}[]} choices */
    function offer(first, choices) {
        const chosen = form.isChanged(key) ? form.text(key) : FOLLOW;
        const list = [...first, ...choices.map((choice) => [choice.path, choice.title])];
        const known = list.some(([path]) => path === chosen);
        if (chosen !== "" && !known) list.push([chosen, format.fileName(chosen)]);
        if (JSON.stringify(list) !== offered) {
            offered = JSON.stringify(list);
            fill(select, list.map(([path, title]) => h("option", {value: path}, title)));
        }
        select.value = list.some(([path]) => path === chosen) ? chosen : FOLLOW;
        select.title = select.selectedOptions.length ? select.selectedOptions[0].text : "";
    }

    on("problems", (problems) => {
        setText(problem, problems[key] || "");
        element.classList.toggle("tl-has-problem", Boolean(problems[key]));
    });
    return {element, offer};
}
