/** The library of test prompts: named sets on the server, to insert into the prompts of any test. */

import {dialog} from "../core/dialog.js";
import {api, failureOf, fill, h, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, toast} from "../core/parts.js";
import {saveText} from "../train/presets/export_settings.js";

/** @typedef {import("./answers").PromptSet} PromptSet */

/** @param {unknown} error @returns {string} */
const sentences = (error) => {
    const {message, problems} = failureOf(error);
    return problems.length ? problems.join(" ") : message;
};

export class PromptSetBar {
    /** @param {{read: () => string, write: (text: string) => void}} options the box with the prompts, one per line */
    constructor(options) {
        this.options = options;
        /** @type {PromptSet[]} */
        this.sets = [];
        /** @type {string[]} previous contents of the box, for undo */
        this.before = [];
        this.select = h("select", {class: "tl-input tl-select", id: "tl_prompt_set", "aria-label": "Sets of test prompts",
            on: {focus: () => this.load()}});
        this.undo = button("Undo", {small: true, id: "tl_prompts_undo", hidden: true, click: () => this.takeBack()});
        this.element = h("div", {class: "tl-row tl-wrap tl-prompt-sets"}, this.select,
            button("Use", {small: true, id: "tl_prompts_use", click: () => this.use(false)}),
            button("Add", {small: true, id: "tl_prompts_add", click: () => this.use(true)}), this.undo,
            button("Save as a set", {small: true, id: "tl_prompts_save", click: () => openSave(options.read(), (sets, name) => {
                this.show(sets);
                this.select.value = name;
            })}),
            button("Manage", {small: true, kind: "quiet", id: "tl_prompts_manage", click: async () => {
                if (await this.load()) openSets(this.sets, (sets) => this.show(sets));
            }}));
        this.show([]);
    }

    /** @returns {Promise<boolean>} false on failure, which a toast has reported */
    async load() {
        const answer = await api("prompt-sets").catch(() => null);
        if (answer) this.show(answer.sets);
        return answer !== null;
    }

    /** @param {PromptSet[]} sets */
    show(sets) {
        const names = sets.map(({name, prompts}) => `${name}/${prompts.length}`).join();
        this.sets = sets;
        if (this.select.dataset.names === names) return;
        const chosen = this.select.value;
        this.select.dataset.names = names;
        fill(this.select, h("option", {value: ""}, "Choose a set"), sets.map(({name, prompts}) =>
            h("option", {value: name}, `${name} (${format.number(prompts.length)})`)));
        this.select.value = sets.some(({name}) => name === chosen) ? chosen : "";
    }

    /** @param {boolean} add to the current text */
    use(add) {
        const set = this.sets.find(({name}) => name === this.select.value);
        if (!set) {
            toast("info", "Choose a set of prompts first.");
            return;
        }
        if (set.problem) {
            toast("error", set.problem);
            return;
        }
        const before = this.options.read();
        this.before.push(before);
        this.undo.hidden = false;
        const lines = add ? [...before.split("\n").filter((line) => line.trim()), ...set.prompts] : set.prompts;
        this.options.write([...new Set(lines)].join("\n"));
    }

    takeBack() {
        const text = this.before.pop();
        this.undo.hidden = this.before.length === 0;
        if (text !== undefined) this.options.write(text);
    }

    /** Call when the box holds the prompts of another run. */
    forget() {
        this.before = [];
        this.undo.hidden = true;
    }
}

/** @param {string} text the prompts @param {(sets: PromptSet[], name: string) => void} saved */
function openSave(text, saved) {
    const problem = h("p", {class: "tl-field-problem", role: "alert"});
    const name = h("input", {type: "text", class: "tl-input", id: "tl_prompt_set_name", autocomplete: "off", maxlength: "80",
        on: {keydown: (event) => {
            if (event.key === "Enter") save(false);
        }, input: () => {
            replace.hidden = true;
        }}});
    const replace = button("Replace it", {kind: "danger", hidden: true, click: () => save(true)});
    const window = dialog("Save as a set of test prompts", [h("label", {for: "tl_prompt_set_name"}, "Name"), name,
        h("p", {class: "tl-note"}, "Write {trigger} in a prompt where the trigger word belongs: the set then fits every LoRA."),
        problem], [replace, button("Save", {kind: "primary", id: "tl_prompt_set_save", click: () => save(false)})]);
    name.focus();

    /** @param {boolean} replaced */
    async function save(replaced) {
        setText(problem, "");
        try {
            const {sets} = await api("prompt-sets", {body: {name: name.value, text, replace: replaced}, quiet: true});
            window.close();
            saved(sets, name.value.trim());
            toast("good", `${name.value.trim()} is saved.`);
        } catch (error) {
            setText(problem, sentences(error));
            replace.hidden = !sentences(error).startsWith("There is a set");
        }
    }
}

/** @param {PromptSet[]} sets @param {(sets: PromptSet[]) => void} changed called with the new list */
function openSets(sets, changed) {
    const list = h("ul", {class: "tl-preset-list"});
    const problem = h("p", {class: "tl-field-problem", role: "alert"});
    const said = h("p", {class: "tl-note", role: "status"});
    const text = h("textarea", {class: "tl-input tl-textarea", rows: 4, id: "tl_prompt_sets_text", spellcheck: "false",
        placeholder: "# Portraits\n{trigger}, close-up\n{trigger}, from side"});
    const file = h("input", {type: "file", hidden: true, accept: ".txt,text/plain", id: "tl_prompt_sets_file", on: {change: async () => {
        const chosen = file.files && file.files[0];
        file.value = "";
        if (chosen) await take(await chosen.text(), chosen.name.replace(/\.[^.]*$/, ""));
    }}});
    const window = dialog("Sets of test prompts", [list, h("label", {for: "tl_prompt_sets_text"}, "Import sets"), text,
        h("div", {class: "tl-row tl-wrap"}, button("Import the text", {small: true, id: "tl_prompt_sets_import",
            click: () => take(text.value, "")}), button("Import a file", {small: true, click: () => file.click()}), file), said, problem],
    [button("Export all", {id: "tl_prompt_sets_export", click: () => download("")}),
        button("Close", {click: () => window.close()})]);
    window.id = "tl_prompt_sets";

    /** @param {() => Promise<{sets: PromptSet[]}>} ask @param {string} [words] */
    async function change(ask, words = "") {
        setText(problem, "");
        setText(said, words);
        try {
            const answer = await ask();
            show(answer.sets);
            changed(answer.sets);
        } catch (error) {
            setText(said, "");
            setText(problem, sentences(error));
        }
    }

    /** @param {string} content @param {string} name for prompts without a heading */
    async function take(content, name) {
        await change(async () => {
            const answer = await api("prompt-sets/import", {body: {text: content, name}, quiet: true});
            setText(said, `Imported: ${answer.added.join(", ")}.`);
            text.value = "";
            return answer;
        });
    }

    /** @param {string} name empty for all */
    async function download(name) {
        setText(problem, "");
        try {
            const answer = await api(`prompt-sets/file?name=${encodeURIComponent(name)}`, {quiet: true});
            saveText(answer.file_name, answer.text);
        } catch (error) {
            setText(problem, sentences(error));
        }
    }

    /** @param {PromptSet[]} shown */
    function show(shown) {
        fill(list, shown.map((set) => row(set)));
    }

    /** @param {PromptSet} set */
    function row({name, prompts, problem: damage, fixed}) {
        const box = h("input", {type: "text", class: "tl-input", value: name, maxlength: "80", "aria-label": `Name of ${name}`,
            readOnly: fixed, on: {input: () => {
                rename.hidden = box.value.trim() === name || !box.value.trim();
            }}});
        const rename = button("Rename", {small: true, hidden: true, click: () => change(() =>
            api("prompt-sets/rename", {body: {name, new_name: box.value}, quiet: true}))});
        const remove = button("Delete", {small: true, kind: "quiet", click: () => change(() =>
            api("prompt-sets/remove", {body: {name}, quiet: true}),
        `${name} is deleted; its text is kept in the folder lora_train/test_prompts/removed.`)});
        return h("li", {}, h("div", {class: "tl-row"}, box, rename, button("Export", {small: true, icon: "file",
            title: `Export ${name}`, click: () => download(name)}), fixed ? null : remove),
        h("p", {class: "tl-note tl-prompt-list"}, damage || prompts.join(" · ")));
    }

    show(sets);
}

/**
 * A list of every prompt of the library, for a single-prompt box.
 * @param {(prompt: string) => void} choose @returns {HTMLSelectElement}
 */
export function promptChoice(choose) {
    const select = h("select", {class: "tl-input tl-select", "aria-label": "Prompts of the library", on: {focus: () => load(false),
        change: () => {
            if (select.value) choose(select.value);
            select.value = "";
        }}});
    const load = async (/** @type {boolean} */ quiet) => {
        const answer = await api("prompt-sets", {quiet}).catch(() => null);
        const key = JSON.stringify(answer);
        if (!answer || select.dataset.key === key) return;
        select.dataset.key = key;
        fill(select, h("option", {value: ""}, "From the library"), answer.sets.map(({name, prompts}) =>
            h("optgroup", {label: name}, prompts.map((prompt) => h("option", {value: prompt}, prompt)))));
    };
    fill(select, h("option", {value: ""}, "From the library"));
    load(true);  // asked again when it is used
    return select;
}
