/** The state of the webui: checkpoint and VAE, folders, and the training packages. */

import {api, emit, fill, h, on, setText} from "./dom.js";
import {button, toast} from "./parts.js";
import {banner as bannerPlace, poll} from "./shell.js";

/** @type {import("./types").HostState|null} the response of /train-lora/host, null until the first one */
export let host = null;

/** @type {Record<string, {title: string, button: string, text: string}>} */
const BANNERS = {
    missing: {title: "Training needs additional packages.", button: "Install training packages",
        text: "About 160 MB are installed into this extension's folder, once. Nothing in the webui changes."},
    "half-done": {title: "The installation of the training packages was interrupted.",
        button: "Install training packages again",
        text: "About 160 MB are installed into this extension's folder, once. Nothing in the webui changes."},
    outdated: {title: "This version needs newer training packages.", button: "Update training packages",
        text: "They are downloaded into this extension's folder. Nothing in the webui changes."},
    installing: {title: "The training packages are being installed.", button: "",
        text: "This takes a few minutes. You can keep using the webui and prepare your images meanwhile."},
};

/** @type {ReturnType<typeof buildBanner>|null} the parts of the current banner, null for none */
let banner = null;

export function environmentState() {
    const environment = host && host.environment;
    return environment ? environment.state : "ready";
}

async function ask() {
    const before = host;
    host = await api("host", {quiet: before !== null});
    showBanner();
    if (JSON.stringify(before) !== JSON.stringify(host)) emit("host", host);
}

const poller = poll(ask, () => (environmentState() === "installing" ? 1 : 8), 20);

async function install() {
    if (!banner) return;
    const {start} = banner;
    start.disabled = true;
    try {
        await api("environment/install", {method: "POST", body: {}});
    } catch {
        start.disabled = false;
    }
    poller.wake();
}

/** @param {string} state */
function buildBanner(state) {
    const words = BANNERS[state];
    const start = button(words.button, {kind: "primary", click: install, hidden: !words.button});
    const parts = {state, start, text: h("p", {}, words.text), detail: h("p", {class: "tl-banner-detail"}),
        lines: h("pre", {class: "tl-log", tabindex: "0", "aria-label": "Installer output"})};
    const bar = h("div", {class: "tl-bar tl-bar-unknown", role: "progressbar", "aria-label": "Installing",
        hidden: state !== "installing"}, h("div", {class: "tl-bar-fill"}));
    fill(bannerPlace, h("section", {class: "tl-banner", data: {state}, "aria-label": "Training packages"},
        h("div", {class: "tl-banner-row"},
            h("div", {class: "tl-banner-text"}, h("p", {class: "tl-banner-title"}, words.title), parts.text,
                parts.detail), start),
        bar, parts.lines));
    return parts;
}

function showBanner() {
    const {state, text, lines} = (host && host.environment) || {state: "ready", text: "", lines: []};
    if (!BANNERS[state]) {
        if (banner) {
            fill(bannerPlace);
            toast("good", "The training packages are installed. You can train now.");
        }
        banner = null;
        return;
    }
    if (!banner || banner.state !== state) banner = buildBanner(state);
    setText(banner.detail, text || "");
    banner.detail.hidden = !text;
    banner.lines.hidden = !(lines && lines.length);
    setText(banner.lines, (lines || []).slice(-6).join("\n"));
}

export const askHost = poller.wake;
on("mounted", () => poller.wake());
