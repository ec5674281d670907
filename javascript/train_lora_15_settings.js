/** The card "Settings": the few that matter in view, the rest folded away, and what each one does. */
"use strict";

(() => {
    const TL = window.TrainLora;
    const {h, fill, setText, form, format} = TL;
    const GROUPS = {base: "Model", dataset: "Pictures and captions", network: "Network", optimizer: "Optimizer",
        scheduler: "Learning rate schedule", loss: "Loss and noise", training: "Training", save: "Saving",
        sample: "Sample pictures"};

    /** @returns {HTMLElement} needs the schema to be loaded */
    function settingsCard() {
        /** @type {any[]} */
        const fields = [];
        const make = (setting, options) => {
            const field = TL.field(setting, options);
            fields.push(field);
            return field.element;
        };
        const all = [...form.settings.values()];
        const name = form.settings.get("save.output_name");
        const first = [name ? make(name, {label: "Name of the LoRA"}) : null,
            ...all.filter((setting) => setting.key === "dataset.activation_tag").map((setting) => make(setting))];
        const main = all.filter((setting) => setting.view === "main" && setting.key !== "dataset.activation_tag");
        const changes = h("span", {class: "tl-count"});
        const more = moreSettings(all.filter((setting) => setting.view === "more"), make, changes);
        const note = notePane();

        function refresh(keys) {
            for (const field of fields) if (!keys || keys.includes(field.key)) field.refresh();
            const count = form.changedIn("more").length;
            setText(changes, count ? `${format.number(count)} changed` : "");
        }

        TL.on("setting", ({keys}) => refresh(keys));
        TL.on("host", () => refresh(["base.clip_skip"]));
        TL.on("problems", (problems) => {
            for (const field of fields) field.problem(problems[field.key] || "");
            if (fields.some((field) => problems[field.key] && more.contains(field.element))) more.open = true;
        });
        refresh();
        const card = TL.card("Settings", {step: 3, id: "tl_settings"}, TL.presetRow ? TL.presetRow() : null,
            h("div", {class: "tl-fields"}, first, main.map((setting) => make(setting))), more, note.element);
        note.listen(card);
        return card;
    }

    function moreSettings(settings, make, changes) {
        const groups = new Map();
        for (const setting of settings) groups.set(setting.group, [...(groups.get(setting.group) || []), setting]);
        const sections = [...groups].map(([group, list]) => h("section", {class: "tl-group"},
            h("h4", {class: "tl-subtitle"}, GROUPS[group] || group[0].toUpperCase() + group.slice(1)),
            h("div", {class: "tl-fields"}, list.map((setting) => make(setting)))));
        const nothing = h("p", {class: "tl-note", hidden: true}, "No setting has these words in its name or help.");
        const search = h("input", {type: "search", class: "tl-input tl-search", placeholder: "Search in all settings",
            "aria-label": "Search in more settings", on: {input: () => narrow(search.value, sections, nothing)}});
        const element = TL.fold([`More settings (${settings.length})`, changes], search, nothing, sections);
        element.id = "tl_more_settings";
        return element;
    }

    function narrow(text, sections, nothing) {
        const words = text.toLowerCase().split(/\s+/).filter(Boolean);
        let any = false;
        for (const section of sections) {
            let shown = 0;
            for (const element of section.querySelectorAll(".tl-field")) {
                const setting = form.settings.get(element.dataset.key);
                const hay = [setting.label, setting.name, setting.sd_scripts, setting.help, setting.advice]
                    .join(" ").toLowerCase();
                element.hidden = !words.every((word) => hay.includes(word));
                shown += element.hidden ? 0 : 1;
            }
            section.hidden = shown === 0;
            any = any || shown > 0;
        }
        nothing.hidden = any;
    }

    /** One place of fixed height says what the setting under the hand does: nothing moves, nothing is covered. */
    function notePane() {
        const text = h("p", {class: "tl-explain-help"});
        const advice = h("p", {class: "tl-explain-advice"});
        const element = h("aside", {class: "tl-explain", "aria-hidden": "true"}, text, advice);
        let focused = "";

        function explain(key) {
            const setting = form.settings.get(key);
            if (!setting) {
                fill(text, "Point at a setting, and here is what it does.");
                fill(advice);
                return;
            }
            fill(text, h("b", {}, key === "save.output_name" ? "Name of the LoRA" : setting.label), " ", setting.help, " ",
                h("span", {class: "tl-explain-default"}, facts(setting)));
            fill(advice, setting.advice ? [TL.icon("bulb"), h("span", {}, setting.advice)] : []);
        }

        const keyAt = (event) => {
            const field = event.target.closest(".tl-field");
            return field ? field.dataset.key : "";
        };
        const soon = TL.later((key) => explain(key || focused), 80);
        explain("");
        return {element, listen: (card) => {
            card.addEventListener("focusin", (event) => {
                focused = keyAt(event) || focused;
                explain(focused);
            });
            card.addEventListener("mouseover", (event) => soon(keyAt(event)));
            card.addEventListener("mouseleave", () => soon(focused));
        }};
    }

    function facts(setting) {
        const parts = [];
        const usual = form.defaultOf(setting.key);
        if (usual !== "") parts.push(`Usually ${TL.valueInWords(usual)}.`);
        if (setting.minimum !== null && setting.maximum !== null) {
            parts.push(`From ${setting.minimum} to ${setting.maximum}.`);
        }
        if (setting.sd_scripts && setting.sd_scripts !== setting.name) parts.push(`${setting.sd_scripts} in sd-scripts.`);
        return parts.join(" ");
    }

    TL.settingsCard = settingsCard;
})();
