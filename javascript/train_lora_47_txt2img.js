/** Handing a LoRA over to the webui's txt2img tab. */
"use strict";

(() => {
    const TL = window.TrainLora;

    /**
     * Puts the LoRA and its tag into txt2img's prompt and goes there. What stands in the prompt stays; another file
     * of the same run is replaced.
     * @param {{prompt: string, name: string, tag: string}} answer of /train-lora/runs/ID/try
     */
    function toTxt2img(answer) {
        const prompt = /** @type {HTMLTextAreaElement|null} */ (document.querySelector("#txt2img_prompt textarea"));
        if (!prompt) {
            TL.toast("error", "The txt2img tab cannot be found on this page.",
                {problems: [`The prompt would be: ${answer.prompt}`]});
            return;
        }
        prompt.value = joined(prompt.value, answer);
        prompt.dispatchEvent(new Event("input", {bubbles: true}));
        openTab();
        prompt.focus();
    }

    /** @param {string} before what stands in the prompt @param {{prompt: string, name: string, tag: string}} answer */
    function joined(before, answer) {
        const family = answer.name.replace(/-(\d{6}|step\d{8})$/, "");
        const escaped = family.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        const sameRun = new RegExp(`<lora:${escaped}(?:-\\d{6}|-step\\d{8})?(:[^>]*)?>`);
        if (sameRun.test(before)) {
            return before.replace(sameRun, (_, weight) => `<lora:${answer.name}${weight || ":1"}>`);
        }
        const rest = before.trim();
        const words = rest.split(",").map((word) => word.trim());
        const added = answer.tag && words.includes(answer.tag) ? `<lora:${answer.name}:1>` : answer.prompt;
        return rest ? `${rest.replace(/,$/, "")}, ${added}` : answer.prompt;
    }

    function openTab() {
        /** @type {any[]} */
        const buttons = [...document.querySelectorAll("#tabs > .tab-nav > button")];
        const panels = [...document.querySelectorAll("#tabs > .tabitem")];
        const button = buttons.find((candidate) => candidate.textContent.trim() === "txt2img") ||
            buttons[panels.findIndex((panel) => panel.id === "tab_txt2img")];  // where its name is translated
        if (button) button.click();
        else TL.toast("good", "The prompt is filled in. Open the txt2img tab to try it.");
    }

    TL.toTxt2img = toTxt2img;
    TL.promptWith = joined;
})();
