/** The countdown before the computer sleeps or shuts down: over the whole webui, whichever of its tabs is open. */

import {h, on, setText} from "../../core/dom.js";
import {notify} from "./signals.js";
import {cancel} from "./state.js";
import {clock} from "./words.js";

const text = h("p", {class: "tl-countdown-text", id: "tl_countdown_text"});
const time = h("p", {class: "tl-countdown-time", role: "timer", "aria-live": "off"});
const command = h("pre", {class: "tl-countdown-command", tabindex: "0", "aria-label": "Command"});
const press = h("button", {type: "button", class: "tl-countdown-cancel", id: "tl_countdown_cancel",
    on: {click: () => stop()}}, "Cancel");
const file = h("p", {class: "tl-countdown-file"});
const box = h("div", {id: "tl_countdown", role: "alertdialog", "aria-modal": "false", "aria-labelledby": text.id},
    text, command, time, press, file);
let ends = 0;
let timer = 0;

function tick() {
    setText(time, clock((ends - performance.now()) / 1000));
}

async function stop() {
    press.disabled = true;
    await cancel().catch(() => {});  // already reported by a toast
    press.disabled = false;
}

on("finished", ({countdown, choice, command: chosen}) => {
    if (!countdown) {
        clearInterval(timer);
        timer = 0;
        box.remove();
        return;
    }
    ends = performance.now() + 1000 * countdown.seconds_left;
    setText(text, `${countdown.text} in`);
    setText(file, countdown.cancel_file ? `Deleting ${countdown.cancel_file} cancels it, too.` : "");
    setText(command, choice === "command" ? chosen : "");
    tick();
    if (box.isConnected) return;
    if (document.hidden) notify(`${countdown.text} in ${clock(countdown.seconds_left)}. Cancel it on this page.`);
    document.body.append(box);
    timer = timer || window.setInterval(tick, 250);
    press.focus({preventScroll: true});
});
