/** The sub-tab "Train": the settings at the left, the run at the right, the buttons at the foot. */
"use strict";

(() => {
    const TL = window.TrainLora;
    const {h, form} = TL;

    /** @type {any} */
    let view = null;
    /** @type {HTMLElement} */
    let columns;
    let built = false;

    function emptyRun() {
        return TL.emptyState("Nothing is training yet",
            "Three steps, and the loss, the samples and the saved files appear here.",
            h("ol", {class: "tl-steps"},
                h("li", {}, h("b", {}, "Pictures: "), "point at a folder and press Look."),
                h("li", {}, h("b", {}, "Model: "), "the one the webui has loaded is fine."),
                h("li", {}, h("b", {}, "Settings: "), "give it a name, and press Train.")));
    }

    function showRun(id) {
        if (!view) return;
        view.show(id);
        TL.store.set("run", id || undefined);
        TL.emit("shown-run", id);
    }

    /** A run that goes on is shown wherever the page was opened; else the one that was last looked at. */
    function followLive() {
        if (!view) return;
        const live = TL.runs.live();
        const shown = view.run;
        if (shown && shown.open) return;
        if (live) {
            columns.classList.add("tl-run-first");
            showRun(live.id);
        }
        else if (!shown) {
            const last = TL.store.get("run", "");
            if (TL.runs.all().some((run) => run.id === last)) showRun(last);
        }
    }

    function started(id) {
        showRun(id);
        TL.runs.refresh();
        columns.classList.add("tl-run-first");
        const narrow = matchMedia("(max-width: 1099px)").matches;
        if (narrow) TL.root.scrollIntoView({block: "start"});
    }

    function build(panel) {
        const settings = h("div", {class: "tl-column", "aria-label": "Settings", role: "region"});
        view = new TL.RunView({empty: emptyRun()});
        const result = h("div", {class: "tl-column tl-column-run", "aria-label": "Run", role: "region"}, view.element);
        columns = h("div", {class: "tl-columns"}, settings, result);
        panel.append(columns, TL.actionBar({run: () => view.run, started}));
        TL.explainFields(columns, settings);
        form.load().then(() => {
            settings.append(new TL.DatasetCard().element, TL.baseCard(), TL.settingsCard(), TL.planCard());
            built = true;
            if (form.get("dataset.train_data_dir")) TL.emit("look");
            TL.checkJob();
        }).catch(() => settings.append(TL.emptyState("The settings could not be read",
            "Reload the page to try again. If it stays like this, the webui's console says why.")));
        TL.on("runs", followLive);
        TL.on("dataset", suggestFromFolder);
    }

    /** A new folder brings a name and an activation tag with it, as long as the user has given none. */
    function suggestFromFolder(found) {
        if (!found || !found.pictures) return;
        const tag = found.activation_tag_guess;
        if (tag && !form.get("dataset.activation_tag")) form.set("dataset.activation_tag", tag);
        if (!form.get("save.output_name")) form.set("save.output_name", nameFrom(TL.format.fileName(found.folder)));
    }

    const nameFrom = (folder) => folder.replace(/^\d+_/, "").replace(/[^\p{L}\p{N} ._-]+/gu, "").trim();

    TL.showRun = showRun;
    TL.registerTab({id: "train", title: "Train", order: 20, build, shown: () => {
        if (built) TL.askHost();
    }});
})();
