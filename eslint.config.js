import js from "@eslint/js";
import globals from "globals";

const WEBUI = {gradioApp: "readonly", onUiLoaded: "readonly", updateInput: "readonly", switch_to_txt2img: "readonly"};

export default [
    {ignores: [".cache/**", "worker_env/**", "node_modules/**"]},
    js.configs.recommended,
    {languageOptions: {ecmaVersion: 2022, sourceType: "module", globals: {...globals.browser, ...WEBUI}},
        rules: {eqeqeq: "error", "no-var": "error", "prefer-const": "error", "no-implicit-globals": "error"}},
    {files: ["javascript/train_lora.js", "tests/browser/*.js", "tests/standin/*.js"],
        languageOptions: {sourceType: "script"}, rules: {"no-unused-vars": "off", "no-implicit-globals": "off",
            "no-redeclare": "off"}},
    {files: ["tests/javascript/**"], languageOptions: {globals: globals.node}},
];
