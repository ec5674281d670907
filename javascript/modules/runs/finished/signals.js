/** Notifications of the browser, and a sound. */

import {toast} from "../../core/parts.js";

const NOTES_HERTZ = [523.25, 659.25, 783.99];
const NOTE_SECONDS = 0.22;
const UNLOCK_MILLISECONDS = 1000;
const NO_SOUND = "The browser plays no sound on a page that was not clicked since it was opened.";
const NOT_ALLOWED = "This browser does not allow notifications for this page. Allow them beside the address, and choose " +
    "again.";
/** @type {AudioContext|null} browsers let it play after a click on the page */
let audio = null;

/**
 * Ask for what a choice needs, while the user's click allows it.
 * @param {string} choice
 * @returns {Promise<string>} the reason why it cannot work in this browser, empty if it can
 */
export async function prepare(choice) {
    if (choice === "sound") {
        return await audible() ? "" : "This browser plays no sound now. Is there a sound device? Choose a notification, or " +
            "try again.";
    }
    if (choice !== "notify") return "";
    if (!("Notification" in window) || !window.isSecureContext) {
        return "Browsers show notifications only for pages opened as localhost or with https.";
    }
    if (Notification.permission === "default") {
        toast("info", "The browser asks whether this page may show notifications. Its question is beside the address.");
    }
    return await Notification.requestPermission() === "granted" ? "" : NOT_ALLOWED;
}

/**
 * A sound needs a click on the page, also if it was chosen on another one: the next click or key prepares it.
 * @param {string} choice
 */
export function standBy(choice) {
    if (choice !== "sound" || audio) return;
    audio = new AudioContext();
    for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, () => audio && audio.resume(), {once: true});
}

/** @param {string} choice @param {string} text */
export async function signal(choice, text) {
    if (choice === "notify" && !notify(text)) toast("warning", NOT_ALLOWED);
    if (choice === "sound") await play();
}

/** @param {string} text @returns {boolean} whether it is shown */
export function notify(text) {
    if (!("Notification" in window) || Notification.permission !== "granted") return false;
    try {
        const shown = new Notification("Train LoRA", {body: text, tag: "train-lora-finished"});
        shown.onclick = () => {
            window.focus();
            shown.close();
        };
        return true;
    } catch (error) {
        if (error instanceof TypeError) return false;  // phones allow them to service workers only
        throw error;
    }
}

/** @returns {Promise<boolean>} whether a sound can be heard; without a click the browser never answers */
async function audible() {
    audio = audio || new AudioContext();
    await Promise.race([audio.resume(), new Promise((resolve) => setTimeout(resolve, UNLOCK_MILLISECONDS))]);
    return audio.state === "running";
}

/** Three rising notes. */
async function play() {
    if (!await audible() || !audio) {
        toast("info", NO_SOUND);
        return;
    }
    const context = audio;
    NOTES_HERTZ.forEach((hertz, number) => {
        const begins = context.currentTime + number * NOTE_SECONDS;
        const tone = new OscillatorNode(context, {frequency: hertz});
        const volume = new GainNode(context, {gain: 0.2});
        volume.gain.setTargetAtTime(0, begins + NOTE_SECONDS / 2, NOTE_SECONDS / 4);
        tone.connect(volume).connect(context.destination);
        tone.start(begins);
        tone.stop(begins + 2 * NOTE_SECONDS);
    });
}
