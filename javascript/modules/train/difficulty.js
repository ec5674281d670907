/** How hard a subject is to learn: choosing it fills in the rank, network and length it needs. */

import {api, fill, h, on, setText, store, uniqueId} from "../core/dom.js";
import {format} from "../core/format.js";
import {button} from "../core/parts.js";
import {dataset} from "./images/dataset.js";
import {familyQuery} from "./family.js";
import {form} from "./form.js";
import {checkJob} from "./plan.js";

/** @typedef {import("./answers").DifficultyFacts} DifficultyFacts */

/** The chosen letter, empty for none; also used to check the plan. */
export let difficulty = store.get("difficulty", "");

/** @returns {HTMLElement} filled when the server answers */
export function difficultyRow() {
    const id = uniqueId("difficulty");
    const select = h("select", {id, class: "tl-input tl-select", on: {change: () => choose(select.value)}});
    const words = h("span", {});
    const vehicles = h("p", {class: "tl-note"});
    const back = button("Undo", {small: true, click: () => {
        form.restore(before);
        select.value = "";
        choose("");
    }});
    const note = h("div", {class: "tl-why", hidden: true, "aria-live": "polite"},
        h("div", {class: "tl-why-head"}, h("p", {}, words), back));
    const element = h("div", {class: "tl-difficulty", hidden: true},
        h("label", {class: "tl-subtitle", for: id}, "How hard is it to learn?"), select, vehicles, note);
    /** @type {DifficultyFacts[]} */
    let list = [];
    let male = "";
    let before = form.snapshot();

    async function ask() {
        const images = dataset && dataset.images_per_epoch ? dataset.images_per_epoch : 0;
        const answer = await api(`difficulties?images_per_epoch=${images}${familyQuery()}`, {quiet: true});
        list = answer.difficulties;
        male = answer.male_characters;
        setText(vehicles, answer.vehicles);
        fill(select, h("option", {value: ""}, "Not sure: leave the settings alone"), list.map((one) =>
            h("option", {value: one.letter}, `${one.letter}: ${one.description}`)));
        select.value = difficulty;
        element.hidden = false;
    }

    /** @param {string} letter */
    function choose(letter) {
        difficulty = letter;
        store.set("difficulty", letter || undefined);
        const one = list.find((candidate) => candidate.letter === letter);
        note.hidden = !one;
        before = form.snapshot();
        if (one) {
            take(one);
            setText(words, sentence(one, male));
        }
        checkJob();
    }

    const hide = () => {
        element.hidden = true;
    };
    for (const name of /** @type {const} */ (["dataset", "family"])) on(name, () => ask().catch(hide));
    ask().catch(hide);
    return element;
}

/** @param {DifficultyFacts} one */
function take(one) {
    const dim = Number(form.get("network.network_dim"));
    const share = dim > 0 ? Number(form.get("network.network_alpha")) / dim : 0.5;
    const alpha = Math.max(1, Math.round(share * one.suggested_rank));
    form.take({...one.values, network: {network_dim: one.suggested_rank, ...(share <= 1 ? {network_alpha: alpha} : {})}});
}

/** @param {DifficultyFacts} one @param {string} male the note on male characters */
function sentence(one, male) {
    const ranks = one.lowest_rank === one.highest_rank ? `${one.lowest_rank}` : `${one.lowest_rank} to ${one.highest_rank}`;
    const set = `Network dim is set to ${one.suggested_rank}; ${ranks} is enough.`;
    const best = `Best trained as ${one.networks.join(" or ")}, with about ${format.number(one.images_seen)} images seen in ` +
        `total.`;
    return `${set} ${best}${"ABCD".includes(one.letter) ? ` ${male}` : ""}`;
}
