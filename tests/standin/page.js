// The few functions of the webui's own script.js that extensions call.
function gradioApp() {
    const elems = document.getElementsByTagName('gradio-app');
    const elem = elems.length === 0 ? document : elems[0];
    if (elem !== document) {
        elem.getElementById = function(id) {
            return document.getElementById(id);
        };
    }
    return elem.shadowRoot ? elem.shadowRoot : elem;
}

const uiLoadedCallbacks = [];
let uiWasLoaded = false;

function onUiLoaded(callback) {
    if (uiWasLoaded) callback(); else uiLoadedCallbacks.push(callback);
}

function updateInput(target) {
    const event = new Event('input', {bubbles: true});
    Object.defineProperty(event, 'target', {value: target});
    target.dispatchEvent(event);
}

function switch_to_txt2img() {
    gradioApp().querySelector('#tabs').querySelectorAll('button')[0].click();
    return Array.from(arguments);
}

document.addEventListener('DOMContentLoaded', function() {
    new MutationObserver(function() {
        if (!uiWasLoaded && gradioApp().querySelector('#txt2img_prompt')) {
            uiWasLoaded = true;
            for (const callback of uiLoadedCallbacks) callback();
        }
    }).observe(gradioApp(), {childList: true, subtree: true});
});
