/** Crop, turn, straighten and trim one image: as a new image with its own caption, or in place. */

import {fill, h, later, setText} from "../../core/dom.js";
import {button, toast, unread} from "../../core/parts.js";
import {datasetSettings} from "../../train/family.js";
import {CropControls, ratiosOf} from "./crop_controls.js";
import {CropFrame} from "./crop_frame.js";
import {CropTags} from "./crop_tags.js";
import {isWhole, sizeOf, wholeOf} from "./frame.js";
import {Stage, stageDialog} from "./stage.js";
import {cssOf, frameMirrored, frameScaled, frameTurned, isTurned, quarterTurned, turnedSize, unturned} from "./turn.js";

/** @typedef {import("./frame.js").Frame} Frame */
/** @typedef {import("./tools.js").ToolContext} ToolContext */
/** @typedef {import("../records").CropOptions} CropOptions */
/** @typedef {import("../records").ProposedCrop} ProposedCrop */

/** What a new image is called after its source. @type {Record<string, string>} */
const WORDS = {face: "face", bust: "portrait", detail: "detail"};
const KEYS = "Drag to draw, drag edges to resize, arrow keys to nudge (Shift: 10 px, Alt: resize), wheel to zoom, Space to move the image.";

/** @type {import("./tools.js").ImageTool} */
export const cropTool = {label: "Crop", title: "Crop, rotate, straighten or trim this image; faces and details are proposed",
    open: (context) => new CropDialog(context)};

class CropDialog {
    /** @param {ToolContext} context */
    constructor({set, picture, opener}) {
        this.set = set;
        this.picture = picture;
        this.upright = {width: picture.width, height: picture.height};
        this.turn = unturned();
        /** @type {CropOptions|null} */
        this.options = null;
        /** The proposal that the frame was taken from, for the new image's name. @type {ProposedCrop|null} */
        this.source = null;
        this.asked = 0;
        this.judging = false;  // the proposed tags are not yet those of the frame
        this.frame = new CropFrame(this.upright, () => this.frameChanged(), (proposal) => this.choose(proposal));
        this.stage = new Stage(this.upright, (side) => set.image(picture, side), this.frame, "The image to crop. " + KEYS);
        this.tags = new CropTags(picture, set.separator);
        this.askSoon = later(() => this.askOptions(), 350);
        this.judgeSoon = later(() => this.judge(), 200);
        this.controls = new CropControls({ratio: (ratio) => this.frame.setRatio(ratio), quarter: (by) => this.quarter(by),
            mirror: () => this.mirror(), straighten: (degrees) => this.straighten(degrees), refresh: () => this.refresh(),
            whole: () => this.frame.set(wholeOf(this.frame.size)), trim: () => this.useFrame(this.options?.bars),
            trimPlain: () => this.useFrame(this.options?.background), save: () => this.send()});
        this.frame.attach(this.stage);
        this.close = button("Close", {click: () => this.window.close()});
        const {ratioPart, proposalPart, turnPart, sizePart, resultPart, saved, save} = this.controls;
        this.window = stageDialog(`Crop ${picture.name}`, this.stage, [ratioPart, proposalPart, turnPart, sizePart,
            this.tags.element, resultPart], [saved, this.close, save]);
        this.window.id = "tl_crop";
        this.window.addEventListener("close", () => opener.focus({preventScroll: true}));
        this.refresh();
        this.askOptions();
        this.judge();
    }

    /** @returns {{number: number, version: string, quarters: number, mirrored: boolean, degrees: number, settings: object}} */
    get about() {
        return {number: this.picture.number, version: this.picture.version, ...this.turn, settings: datasetSettings()};
    }

    /** @returns {number[]|null} the frame to cut out, null for all of the image */
    get cut() {
        const {frame, size} = this.frame;
        return isWhole(frame, size) ? null : [frame.left, frame.top, frame.right, frame.bottom];
    }

    async askOptions() {
        const asked = this.asked += 1;
        try {
            const options = await this.set.ask("crop/options", this.about, {quiet: true});
            if (asked === this.asked) this.showOptions(options);
        } catch (caught) {
            if (asked === this.asked) fill(this.controls.proposalList, unread("The list of frames", caught, () => this.askOptions()));
        }
    }

    /** @param {CropOptions} options */
    showOptions(options) {
        this.options = options;
        this.frame.propose(options.proposals);
        fill(this.controls.proposalList, options.proposals.length ? options.proposals.map((proposal) => button(proposal.label,
            {small: true, click: () => this.choose(proposal)})) : h("span", {class: "tl-note"}, "Nothing stands out."));
        setText(this.controls.facesNote, options.about_faces);
        this.controls.facesNote.hidden = !options.about_faces;
        this.controls.trim.hidden = !options.bars;
        this.controls.trimPlain.hidden = !options.background || String(options.background) === String(options.bars);
        const chosen = this.controls.ratio.value;
        fill(this.controls.ratio, h("option", {value: "0"}, "Free"), ratiosOf(options.sizes).map(({ratio, words}) => h("option", {value: String(ratio)}, words)));
        this.controls.ratio.value = chosen;
        if (!this.controls.ratio.value) this.controls.ratio.value = "0";
        this.refresh();
    }

    /** @param {ProposedCrop} proposal */
    choose(proposal) {
        this.useFrame(proposal.frame);
        if (this.frame.ratio) this.frame.setRatio(this.frame.ratio);
        this.source = proposal;
    }

    /** @param {number[]|null|undefined} sides */
    useFrame(sides) {
        if (!sides) return;
        const [left, top, right, bottom] = sides;
        this.frame.set({left, top, right, bottom});
    }

    frameChanged() {
        const {frame, size} = this.frame;
        const {width, height} = sizeOf(frame);
        if (this.source && !isNear(frame, this.source.frame)) this.source = null;
        setText(this.controls.size, `${width} × ${height} of ${size.width} × ${size.height} pixels`);
        this.controls.saved.textContent = "";
        this.judging = true;
        this.refresh();
        this.judgeSoon();
    }

    /** Ask what the frame is trained at, and which tags it makes wrong or right. */
    async judge() {
        const asked = JSON.stringify([this.cut, this.turn]);
        const facts = await this.set.ask("crop/frame", {...this.about, frame: this.cut}, {quiet: true}).catch((failure) => ({failure}));
        if (asked !== JSON.stringify([this.cut, this.turn])) return;  // asked again for the new frame
        this.judging = false;
        this.refresh();
        if ("failure" in facts) {
            this.tags.show({remove: [], add: [], note: ""});
            this.warn(unread("The training size", facts.failure, () => this.judge()));
            return;
        }
        const {width, height} = sizeOf(this.frame.frame);
        setText(this.controls.size, `${width} × ${height} pixels, trained at ${facts.bucket[0]} × ${facts.bucket[1]}`);
        this.warn(facts.warning);
        this.tags.show(facts);
    }

    /** @param {string|HTMLElement} words empty for none */
    warn(words) {
        fill(this.controls.warning, words);
        this.controls.warning.hidden = !words;
    }

    /** @param {1|-1} by clockwise */
    quarter(by) {
        let {frame, size} = this.frame;
        for (let turns = by === 1 ? 1 : 3; turns > 0; turns -= 1) {
            frame = frameTurned(frame, size);
            size = {width: size.height, height: size.width};
        }
        this.turn = quarterTurned(this.turn, by);
        this.turnImage(frame);
    }

    mirror() {
        this.turn = {...this.turn, mirrored: !this.turn.mirrored, degrees: -this.turn.degrees};
        this.turnImage(frameMirrored(this.frame.frame, this.frame.size));
    }

    /** @param {number} degrees */
    straighten(degrees) {
        this.turn = {...this.turn, degrees: Math.max(-45, Math.min(45, degrees || 0))};
        this.turnImage();
    }

    /** Show the image as it is turned now. @param {Frame} [frame] in the turned image; by default at the same place */
    turnImage(frame) {
        const before = this.frame.size;
        const size = turnedSize(this.upright, this.turn);
        const {image} = this.stage;
        Object.assign(image.style, {inset: "auto", left: "50%", top: "50%", width: `${100 * this.upright.width / size.width}%`,
            height: `${100 * this.upright.height / size.height}%`, transform: `translate(-50%, -50%) ${cssOf(this.turn)}`});
        if (document.activeElement !== this.controls.slider) this.controls.slider.value = String(this.turn.degrees);
        this.controls.degrees.value = String(this.turn.degrees);
        this.options = null;
        this.frame.propose([]);
        fill(this.controls.proposalList, h("span", {class: "tl-note"}, "Searching for faces and details …"));
        this.controls.trim.hidden = this.controls.trimPlain.hidden = true;
        this.stage.resize(size);
        this.frame.reset(size, isWhole(this.frame.frame, before) ? wholeOf(size) : frameScaled(frame || this.frame.frame, before, frame ? before : size));
        this.askSoon();
    }

    refresh() {
        const {options} = this;
        const inPlace = this.controls.inPlace.checked;
        const something = this.cut !== null || isTurned(this.turn);
        this.controls.save.disabled = !something || this.judging || (inPlace && Boolean(options?.cannot));
        this.controls.save.title = something ? "" : "Draw a frame or rotate the image first";
        const label = this.controls.save.querySelector(".tl-button-label");
        if (label) setText(label, inPlace ? "Replace the image" : "Save as new image");
        if (!options) return;
        const losses = inPlace ? options.losses_in_place : options.losses;
        const kind = inPlace ? options.cannot || `Saved as ${options.saved_as}, under the same name.` : "Saved as a lossless PNG beside the image.";
        setText(this.controls.resultNote, [kind, ...losses, options.has_mask ? "Its mask is cropped in the same way." : ""].filter(Boolean).join(" "));
    }

    /** After a failure: an image that another program has changed has to be opened again. */
    async closeIfChanged() {
        const answer = await this.set.ask("cells", {numbers: [this.picture.number]}, {quiet: true}).catch(() => null);
        if (answer && (!answer.cells.length || answer.cells[0].version !== this.picture.version)) this.window.close();
    }

    async send() {
        const inPlace = this.controls.inPlace.checked;
        this.controls.save.disabled = true;
        const body = {...this.about, frame: this.cut, in_place: inPlace, caption: this.tags.value, before: this.picture.text || "",
            word: this.source ? WORDS[this.source.kind] : this.cut ? "crop" : "turned"};
        const done = await this.set.edit("crop/save", body, {quiet: true});
        this.refresh();
        if (!done) {
            await this.closeIfChanged();
            return;
        }
        if (inPlace) {
            this.window.close();
            toast("good", `${done.label}. The original is in the set's trash; undo brings it back.`);
        } else {
            setText(this.controls.saved, `${done.label}. Draw the next one, or close.`);
        }
    }
}

/** @param {Frame} frame @param {number[]} proposed @returns {boolean} whether the frame's middle lies in the proposed one, and is not much larger */
function isNear({left, top, right, bottom}, [west, north, east, south]) {
    const x = (left + right) / 2;
    const y = (top + bottom) / 2;
    return x > west && x < east && y > north && y < south && right - left < 1.5 * (east - west);
}
