/** What the webui around us has and does: its checkpoint and VAE, its folders, and the training packages. */
"use strict";

(() => {
    const TL = window.TrainLora;
    const {h, setText} = TL;

    /** @type {any} the answer of /train-lora/host, null until the first one */
    TL.host = null;

    const BANNERS = {
        missing: {title: "Training needs some packages of its own.", button: "Install training packages",
            text: "About 160 MB are put into this extension's folder, once. Nothing in the webui changes."},
        "half-done": {title: "Installing the training packages was not finished.",
            button: "Install training packages again",
            text: "About 160 MB are put into this extension's folder, once. Nothing in the webui changes."},
        outdated: {title: "This version needs newer training packages.", button: "Update training packages",
            text: "They are downloaded into this extension's folder. Nothing in the webui changes."},
        installing: {title: "The training packages are being installed.", button: "",
            text: "This takes a few minutes. You can go on using the webui, and look at your pictures meanwhile."},
    };

    /** @type {any} the parts of the banner that is shown, null for none */
    let banner = null;

    function environmentState() {
        const environment = TL.host && TL.host.environment;
        return environment ? environment.state : "ready";
    }

    async function ask() {
        const before = TL.host;
        TL.host = await TL.api("host", {quiet: before !== null});
        showBanner();
        if (JSON.stringify(before) !== JSON.stringify(TL.host)) TL.emit("host", TL.host);
    }

    const poller = TL.poll(ask, () => (environmentState() === "installing" ? 1 : 8), 20);

    async function install() {
        banner.start.disabled = true;
        try {
            await TL.api("environment/install", {method: "POST", body: {}});
        } catch {
            banner.start.disabled = false;
        }
        poller.wake();
    }

    function buildBanner(state) {
        const words = BANNERS[state];
        const start = TL.button(words.button, {kind: "primary", click: install, hidden: !words.button});
        const parts = {state, start, text: h("p", {}, words.text), detail: h("p", {class: "tl-banner-detail"}),
            lines: h("pre", {class: "tl-log", tabindex: "0", "aria-label": "What the installer says"})};
        const bar = h("div", {class: "tl-bar tl-bar-unknown", role: "progressbar", "aria-label": "Installing",
            hidden: state !== "installing"}, h("div", {class: "tl-bar-fill"}));
        TL.fill(TL.banner, h("section", {class: "tl-banner", data: {state}, "aria-label": "Training packages"},
            h("div", {class: "tl-banner-row"},
                h("div", {class: "tl-banner-text"}, h("p", {class: "tl-banner-title"}, words.title), parts.text,
                    parts.detail), start),
            bar, parts.lines));
        return parts;
    }

    function showBanner() {
        const {state, text, lines} = TL.host.environment || {state: "ready"};
        if (!BANNERS[state]) {
            if (banner) {
                TL.fill(TL.banner);
                TL.toast("good", "The training packages are installed. You can train now.");
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

    TL.askHost = poller.wake;
    TL.environmentState = environmentState;
    TL.on("mounted", () => poller.wake());
})();
