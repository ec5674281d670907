/** The doctor: problems of a dataset before training, each finding with its fix. */

import {fill, h, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, findings, fold, icon, setLabel, toast, unread} from "../core/parts.js";
import {familyDefaults} from "../train/family.js";
import {form} from "../train/form.js";
import {captionThumb} from "./knowledge.js";

/** @typedef {import("./records").Finding} Finding */
/** @typedef {import("./records").Fix} Fix */
/** @typedef {import("./answers").ReportFacts} Report */
/** @typedef {import("./answers").Examination} Examination */

/** @type {Record<string, string>} */
const LEVEL = {error: "error", warning: "warning", note: "info", good: "good"};
const FEW = 12;
/** Longer lists are collapsed. */
const LONG = 5;

/** @param {string} words the summary @param {HTMLElement[]} rows @param {(rows: HTMLElement[]) => HTMLElement} list */
function folded(words, rows, list) {
    return rows.length > LONG ? fold(words, list(rows)) : list(rows);
}

export class DoctorPanel {
    /**
     * @param {import("./set.js").CaptionSet} set
     * @param {{show: (numbers: number[]) => void, tagger: () => void}} actions
     */
    constructor(set, actions) {
        this.set = set;
        this.actions = actions;
        /** @type {Report|null} */
        this.report = null;
        this.shown = false;
        this.timer = 0;
        this.begin = button("Examine the dataset", {kind: "primary", id: "tl_doctor", click: () => this.examine()});
        this.stop = button("Stop", {hidden: true, click: () => this.set.ask("doctor", {stop: true}).catch(() => null)});
        this.words = h("p", {"aria-live": "polite"}, "");
        this.bar = h("span", {class: "tl-bar-fill"});
        this.progress = h("span", {class: "tl-bar", hidden: true}, this.bar);
        this.problem = h("div", {});
        this.body = h("div", {class: "tl-doctor-body"});
        this.element = h("section", {class: "tl-advice tl-doctor", "aria-label": "Doctor"}, h("div", {class: "tl-advice-head"},
            h("div", {}, h("h3", {class: "tl-card-title"}, "The doctor"), this.words), this.stop, this.begin), this.progress, this.problem, this.body);
        set.when("opened", ({same}) => {
            if (!same) this.show({state: "none"});
        });
    }

    load() {
        if (this.shown) return;
        this.ask({}).then((answer) => {
            if (answer && answer.state === "none") this.show(answer);
        });
    }

    examine() {
        const job = form.job();
        /** @type {Record<string, import("../train/values").Value>} */
        const settings = {...familyDefaults("dataset"), ...job.dataset, activation_tag: this.set.activationTag};
        delete settings.train_data_dir;
        return this.ask({begin: true, settings, max_tokens: form.get("base.max_token_length") || 225});
    }

    /** @param {{begin?: boolean, settings?: object, max_tokens?: unknown}} body */
    async ask(body) {
        clearTimeout(this.timer);
        const answer = await this.set.ask("doctor", body, {quiet: !body.begin}).catch((error) => body.begin ? null : this.fail(error));
        if (answer) this.show(answer);
        if (answer && answer.state === "running") this.timer = window.setTimeout(() => this.ask({}), 400);
        return answer;
    }

    /** @param {unknown} error @returns {null} */
    fail(error) {
        setText(this.words, "");
        this.progress.hidden = this.stop.hidden = true;
        this.begin.disabled = false;
        fill(this.problem, unread("The examination", error, () => this.ask({})));
        return null;
    }

    /** @param {Pick<Examination, "state"> & Partial<Examination>} answer */
    show(answer) {
        const running = answer.state === "running";
        fill(this.problem);
        this.shown = answer.state === "ready";
        this.stop.hidden = !running;
        this.begin.disabled = running;
        this.progress.hidden = !running;
        const {done = 0, total = 0} = answer;
        this.bar.style.width = `${total ? Math.round(100 * done / total) : 0}%`;
        setLabel(this.begin, this.shown ? "Examine again" : "Examine the dataset");
        if (running) {
            setText(this.words, total ? `Checking image ${format.number(done)} of ${format.number(total)} …`
                : "Checking …");
        } else if (answer.state === "failed") {
            setText(this.words, answer.problem || "");
        } else if (answer.report) {
            this.showReport(answer.report, Boolean(answer.stopped));
        } else {
            setText(this.words, "Checks every image and caption before training: what is skipped, damaged, nearly " +
                "the same, small, blurred or untagged, and how the images fall into buckets.");
            fill(this.body);
        }
    }

    /** @param {Report} report @param {boolean} stopped */
    showReport(report, stopped) {
        const wrong = report.findings.filter((finding) => finding.level === "error" || finding.level === "warning").length;
        const found = wrong ? `${format.plural(wrong, "problem")} to fix` : "nothing to fix";
        setText(this.words, `${format.plural(report.pictures, "image")} to train on, ${found}.` +
            (stopped ? " It was stopped, so not every image was checked." : ""));
        this.report = report;
        const articles = report.findings.map((finding) => this.finding(finding));
        fill(this.body, report.problem ? findings([{level: "error", text: report.problem}]) : null,
            this.summary(report.findings, articles), articles, this.contents(report), this.shapes(report), this.crops(report));
    }

    /** One line for each finding, linked to its article. @param {Finding[]} found @param {HTMLElement[]} articles */
    summary(found, articles) {
        if (found.length < 2) return null;
        return h("section", {class: "tl-doctor-summary", "aria-label": "Summary"}, h("h4", {}, "Summary"),
            h("ul", {}, found.map((finding, place) => {
                const level = LEVEL[finding.level];
                return h("li", {class: `tl-level-${level}`}, h("button", {type: "button", class: "tl-doctor-line",
                    on: {click: () => this.lead(articles[place])}}, icon(level === "good" ? "check" : level),
                h("span", {class: "tl-hidden-text"}, `${finding.level}: `), h("span", {}, finding.title)));
            })));
    }

    /** Scroll to a finding and expand it. @param {HTMLElement} article */
    lead(article) {
        for (const details of article.querySelectorAll("details")) details.open = true;
        article.scrollIntoView({block: "start"});
        article.focus({preventScroll: true});
    }

    /** @param {Finding} finding */
    finding(finding) {
        const level = LEVEL[finding.level];
        return h("article", {class: `tl-diagnosis tl-level-${level}`, tabindex: "-1", data: {finding: finding.id}},
            icon(level === "good" ? "check" : level), h("div", {class: "tl-diagnosis-words"},
                h("h4", {}, h("span", {class: "tl-hidden-text"}, `${finding.level}: `), finding.title), h("p", {}, finding.text),
                this.thumbs(finding.numbers, finding.groups.length > 0), this.groups(finding), this.files(finding)),
            h("div", {class: "tl-diagnosis-fixes"}, finding.fixes.map((fix) => this.fix(fix)),
                finding.numbers.length ? button(finding.numbers.length > 1 ? "Show them" : "Show it",
                    {small: true, kind: "quiet", click: () => this.actions.show(finding.numbers)}) : null));
    }

    /** @param {number[]} numbers @returns {import("./answers").Cell[]} those that still exist */
    cells(numbers) {
        /** @type {Report["cells"]} */
        const cells = this.report ? this.report.cells : {};
        return numbers.flatMap((number) => cells[number] || []);
    }

    /** @param {number[]} numbers @param {boolean} grouped */
    thumbs(numbers, grouped) {
        if (!numbers.length || grouped) return null;
        return h("div", {class: "tl-advice-thumbs"}, this.cells(numbers.slice(0, FEW)).map((cell) => captionThumb(this.set, cell)),
            numbers.length > FEW ? h("span", {class: "tl-note"}, `and ${format.number(numbers.length - FEW)} more`) : null);
    }

    /** @param {Finding} finding */
    groups(finding) {
        if (!finding.groups.length) return null;
        const rows = finding.groups.slice(0, 50).map((group) => h("li", {class: "tl-group-row"},
            h("div", {class: "tl-advice-thumbs"}, this.cells(group.numbers.slice(0, 8)).map((cell) => captionThumb(this.set, cell))),
            h("span", {class: "tl-advice-space"}, group.text), group.fixes.map((fix) => this.fix(fix, "quiet"))));
        const more = finding.groups.length - rows.length;
        if (more > 0) rows.push(h("li", {class: "tl-note"}, `and ${format.number(more)} more`));
        return folded(format.plural(finding.groups.length, "group"), rows, (items) => h("ul", {class: "tl-groups"}, items));
    }

    /** @param {Finding} finding */
    files(finding) {
        if (!finding.files.length) return null;
        return fold(format.plural(finding.files.length, "file"), h("ul", {class: "tl-paths"},
            finding.files.map(([path, reason]) => h("li", {}, h("b", {}, path), ` – ${reason}`))));
    }

    /** @param {Fix} fix @param {string} [kind] of the button */
    fix(fix, kind = "secondary") {
        return button(fix.label, {small: true, kind, click: () => this.carryOut(fix)});
    }

    /** @param {Fix} fix */
    async carryOut(fix) {
        const {numbers, values} = fix;
        if (fix.action === "show") {
            this.actions.show(numbers);
            return;
        }
        if (fix.action === "tag") {
            this.actions.tagger();
            return;
        }
        if (fix.action === "settings") {
            for (const [key, value] of Object.entries(values)) form.set(key, /** @type {import("../train/values").Value} */ (value));
            toast("good", "The training settings have been changed.");
            await this.examine();
            return;
        }
        /** @type {Record<string, object>} */
        const requests = {apply: {numbers, operation: values, activation_tag: this.set.activationTag},
            "rename-folder": {of: values.folder, name: values.name}};
        const outcome = await this.set.edit(/** @type {keyof import("./routes").CaptionEdits} */ (fix.action), requests[fix.action] || {numbers});
        if (outcome) await this.examine();
    }

    /** What the images show, one small bar chart for each question. @param {Report} report */
    contents(report) {
        if (!report.contents.length) return null;
        return h("section", {class: "tl-contents", "aria-label": "What the images show"}, h("h4", {}, "What the images show"),
            h("p", {class: "tl-note"}, "By their tags. An image can count more than once."),
            h("div", {class: "tl-content-charts"}, report.contents.map(({title, shares, untagged}) => {
                const most = Math.max(untagged.length, ...shares.map(({numbers}) => numbers.length));
                return h("div", {class: "tl-content"}, h("h5", {}, title), h("ul", {},
                    shares.map(({name, numbers}) => this.share(name, numbers, most)),
                    untagged.length ? this.share("no tag", untagged, most, "tl-untagged") : null));
            })));
    }

    /**
     * @param {string} name @param {number[]} numbers of the images shown on a click
     * @param {number} most the length of a full bar @param {string} [kind] its class
     */
    share(name, numbers, most, kind = "") {
        return h("li", {}, h("button", {type: "button", class: `tl-bucket ${kind}`,
            title: `Show the ${format.plural(numbers.length, "image")}`, on: {click: () => this.actions.show(numbers)}},
        h("span", {class: "tl-bucket-name"}, name),
        h("span", {class: "tl-bucket-track"}, h("span", {class: "tl-bucket-bar", style: `width: ${100 * numbers.length / most}%`})),
        h("span", {class: "tl-bucket-count"}, format.number(numbers.length))));
    }

    /** @param {Report} report */
    shapes(report) {
        if (!report.shapes.length) return null;
        const most = report.shapes[0].numbers.length;
        return h("section", {class: "tl-buckets", "aria-label": "Buckets"}, h("h4", {}, "Buckets"), h("ul", {},
            report.shapes.slice(0, 24).map((shape) => this.share(`${shape.width} × ${shape.height}`, shape.numbers, most))));
    }

    /** @param {Report} report */
    crops(report) {
        const cut = report.crops.filter((crop) => crop.cut_off > 0.001).slice(0, 40);
        if (!cut.length) return null;
        return h("section", {class: "tl-crops", "aria-label": "Crops"}, h("h4", {}, "What is cut off"),
            h("p", {class: "tl-note"}, "The bright area is trained on. Images that lose the most come first."),
            h("ul", {}, cut.map((crop) => {
                const cell = report.cells[crop.number];
                const [left, top, right, bottom] = crop.kept.map((share) => 100 * share);
                const inner = `left: ${left}%; top: ${top}%; right: ${100 - right}%; bottom: ${100 - bottom}%`;
                return cell ? h("li", {}, h("button", {type: "button", class: "tl-cropped", title: cell.path,
                    style: `aspect-ratio: ${crop.width} / ${crop.height}`, "aria-label": `${cell.name}, ${Math.round(100 * crop.cut_off)}% cut off`,
                    on: {click: () => this.set.choose(crop.number)}}, h("img", {src: this.set.image(cell, 256), alt: "", loading: "lazy"}),
                h("span", {class: "tl-crop", style: inner})), h("span", {class: "tl-note"},
                    `${Math.round(100 * crop.cut_off)}% · ${crop.bucket[0]} × ${crop.bucket[1]}`)) : null;
            })));
    }
}
