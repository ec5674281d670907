/** The dialog that renames a tag across the set, with a preview of the effect. */

import {dialog as openDialog} from "../../core/dialog.js";
import {fill, h, later, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, setLabel} from "../../core/parts.js";
import {form} from "../../train/form.js";
import {tagInput} from "../complete.js";
import {previewRows} from "../dialogs.js";

const TAG = "dataset.activation_tag";
const SHOWN = 6;

/**
 * @param {import("../set.js").CaptionSet} set @param {string} tag
 * @param {(name: string) => void} renamed called after renaming
 */
export function renameTag(set, tag, renamed) {
    const go = () => rename();
    const box = tagInput(set, {label: "New name", id: "tl_rename_name", enter: go});
    box.input.value = tag;
    const words = h("p", {"aria-live": "polite", id: "tl_rename_words"}, "");
    const sentences = h("input", {type: "checkbox", id: "tl_rename_sentences", on: {change: () => previewSoon()}});
    const sentencesWords = h("span", {}, "");
    const sentencesLine = h("label", {class: "tl-tick", hidden: true}, sentences, sentencesWords);
    const trigger = h("input", {type: "checkbox", checked: true, id: "tl_rename_trigger"});
    const isTrigger = tag === set.activationTag;
    const list = h("ul", {class: "tl-previews"});
    const goButton = button("Rename", {kind: "primary", id: "tl_rename_go", click: go});
    const window = openDialog(`Rename “${tag}”`, [words, h("label", {class: "tl-label", for: "tl_rename_name"}, "New name"),
        box.element, sentencesLine, isTrigger ? h("label", {class: "tl-tick"}, trigger,
            "It is the trigger word: change that too") : null, list],
    [button("Cancel", {click: () => window.close()}), goButton]);
    window.id = "tl_rename";
    let question = 0;

    const operation = () => ({kind: "rename", tags: [tag], replacement: box.input.value.trim(),
        include_prose: sentences.checked});
    const request = () => ({filter: "", operation: operation(), activation_tag: set.activationTag});

    const preview = async () => {
        const mine = question += 1;
        const name = box.input.value.trim();
        goButton.disabled = !name || name === tag;
        if (goButton.disabled) fill(list);
        try {
            const facts = await set.ask("rename-tag", {tag, name: name || tag}, {quiet: true});
            if (mine !== question) return;
            sentencesLine.hidden = !facts.sentences;
            setText(sentencesWords, `also in sentences, ${format.plural(facts.sentences, "caption")}`);
            setText(words, whatHappens(facts, name || tag));
            setLabel(goButton, facts.existing ? "Merge" : "Rename");
            if (goButton.disabled) return;
            const answer = await set.ask("preview", request(), {quiet: true});
            if (mine !== question) return;
            goButton.disabled = !answer.captions;
            fill(list, previewRows(set, answer.previews.slice(0, SHOWN)),
                answer.captions > SHOWN ? h("li", {class: "tl-note"}, `and ${format.number(answer.captions - SHOWN)} more`) : null);
        } catch (error) {
            if (mine !== question) return;
            goButton.disabled = true;
            fill(list);
            setText(words, error instanceof Error ? error.message : "");
        }
    };
    const previewSoon = later(preview, 120);

    async function rename() {
        const name = box.input.value.trim();
        if (!name || name === tag) return;
        window.close();
        const outcome = await set.edit("apply", request());
        if (!outcome) return;
        if (isTrigger && trigger.checked) form.set(TAG, name);
        renamed(name);
    }

    box.input.addEventListener("input", () => {
        goButton.disabled = true;
        previewSoon();
    });
    box.input.focus();
    box.input.select();
    preview();
}

/** @param {import("../records").RenameFacts} facts @param {string} name */
function whatHappens({having, existing, both}, name) {
    const images = format.plural(having, "image");
    if (!existing) return `${images} with it. Undo brings the old name back.`;
    const share = both ? ` ${format.plural(both, "image")} with both keep one.` : "";
    return `“${name}” exists already, in ${format.plural(existing, "image")}: the two tags become one.${share} ` +
        `${images} with the old name change.`;
}
