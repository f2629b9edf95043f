// Estimates of memory, time and disk, for the recipes of the guide and for the config.env builder, which also checks what is
// typed by the patterns of the scripts and writes the file. All figures are in the facts. Nothing is sent and nothing is stored.
(() => {
  const source = document.getElementById("builder-facts");
  if (!source) return;
  const facts = JSON.parse(source.textContent);
  const words = facts.words;
  const fields = new Map(facts.fields.map((field) => [field.name, field]));
  const gap = document.documentElement.lang.startsWith("zh") ? "" : " "; // between sentences
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  // --- estimates ---------------------------------------------------------------------------------------------

  const versionOf = (values) => (values.TRAIN_VERSION === "prompt" ? "prompt" : "non-prompt");
  const valueOf = (values, name) => values[name] || fields.get(name).default[versionOf(values)] || "no";
  const parametersOf = (values, stage) => (flag) => valueOf(values, `${stage}_${flag}`.toUpperCase());
  const gpusOf = (values) => Number(valueOf(values, "NUM_GPUS")) * Number(valueOf(values, "NUM_NODES"));
  const usableOf = (gpu) => gpu - 1; // whole GiB as nvidia-smi shows them on a card of so many GB

  // GiB with or without gradient checkpointing, as 02_train.sbatch computes it; null where nothing was measured.
  const memoryNeeded = (values, stage, checkpointing) => {
    const of = parametersOf(values, stage);
    const need = facts.memory[stage];
    const [constant, perFrame] = checkpointing ? need.checkpointing_on : need.checkpointing_off;
    if (of("mixed_precision") === "no" || of("resolution") !== facts.resolution) return null;
    return Math.floor(constant + perFrame * Number(of("nframes")) * Number(of("train_batch_size"))
      + (gpusOf(values) > 1 ? need.several_gpus : 0) + (of("validation_image") === "[]" ? 0 : need.validation) + 1);
  };

  const checkpointingOf = (values, stage, gpu) => {
    const choice = parametersOf(values, stage)("gradient_checkpointing");
    if (choice !== "auto") return choice === "yes";
    const need = memoryNeeded(values, stage, false);
    return need === null || usableOf(gpu) <= need;
  };

  // Seconds of a step, checkpoints and validations included; null where nothing was measured.
  const secondsPerStep = (of, saving, setting) => {
    if (!setting || !setting.steps_per_second) return null;
    const validation = of("validation_image") === "[]" ? 0 : saving.validation_seconds / Number(of("validation_steps"));
    return Number(of("gradient_accumulation_steps")) / setting.steps_per_second
      + saving.save_seconds / Number(of("checkpointing_steps")) + validation;
  };

  const estimateStage = (values, stage, gpu) => {
    const of = parametersOf(values, stage);
    const saving = facts.saving[stage];
    const trained = ["all", stage.slice(-1)].includes(valueOf(values, "STAGE"));
    const checkpointing = checkpointingOf(values, stage, gpu);
    const usual = of("resolution") === facts.resolution && of("use_8bit_adam") === "no"
      && of("enable_xformers_memory_efficient_attention") === "no" && versionOf(values) === "non-prompt";
    const setting = usual && facts.settings.find((each) => each.stage === stage && each.checkpointing === checkpointing
      && each.nframes === Number(of("nframes")) && each.batch === Number(of("train_batch_size")) && each.precision === of("mixed_precision"));
    const need = usual ? memoryNeeded(values, stage, checkpointing) : null;
    const floor = facts.state[stage][of("use_8bit_adam")];
    let verdict = "unmeasured";
    if (!trained) verdict = "no_training";
    else if (floor > gpu || (need !== null && need > usableOf(gpu))) verdict = "fits_not";
    else if (need !== null) verdict = "fits";
    const seconds = secondsPerStep(of, saving, setting);
    const every = Number(of("checkpointing_steps"));
    const kept = Math.min(Math.ceil(Number(of("max_train_steps")) / every), Number(of("checkpoints_total_limit")));
    return {
      verdict, checkpointing, need, floor,
      measured: setting && setting.memory ? setting.memory[2] : null,
      hours: !trained ? 0 : seconds === null ? null : Number(of("max_train_steps")) * seconds / 3600,
      lost: trained ? (saving.start_seconds + (seconds || 0) * every / 2) / 3600 : 0, // by the end of a job, on average
      disk: kept * saving.checkpoint_gb + facts.disk.training[stage],
    };
  };

  const slurmHours = (time) => {
    if (time === "none") return Infinity;
    const [days, rest] = time.includes("-") ? time.split("-") : [null, time];
    const parts = rest.split(":").map(Number);
    const [h, m, s] = days !== null ? [...parts, 0, 0] : parts.length === 3 ? parts : [0, ...parts, 0];
    return Number(days || 0) * 24 + h + m / 60 + s / 3600;
  };

  const estimate = (values, gpu) => {
    const stages = { stage1: estimateStage(values, "stage1", gpu), stage2: estimateStage(values, "stage2", gpu) };
    const both = Object.values(stages);
    let disk = facts.disk.downloads + facts.disk.unpacked + facts.disk.environment + stages.stage1.disk + stages.stage2.disk;
    if (valueOf(values, "DPO_DATASET") === "no") disk -= facts.disk.dpo;
    if (valueOf(values, "KEEP_DOWNLOADS") === "no") disk -= facts.disk.unpacked;
    const hours = both.some((each) => each.hours === null) ? null : stages.stage1.hours + stages.stage2.hours;
    const limit = slurmHours(valueOf(values, "TRAIN_TIME"));
    const perJob = limit - Math.max(...both.map((each) => each.lost));
    // Six minutes: two starts, two conversions, and the signal before the limit.
    const jobs = hours === null ? null : hours < limit - 0.1 ? 1 : perJob > 0 ? Math.ceil(hours / perJob) : Infinity;
    return { stages, disk, hours, jobs };
  };
  const rounded = (hours) => Math.floor(hours) + 1; // up, as `setup_and_train.sbatch check` does

  // --- recipes: the figures in their texts are estimates for their lines -------------------------------------

  for (const element of document.querySelectorAll("[data-recipe]")) {
    const recipe = facts.recipes[element.dataset.recipe];
    const found = estimate(recipe.values, recipe.gpu);
    const figures = {
      hours: found.hours === null ? "?" : rounded(found.hours),
      minutes: found.hours === null ? "?" : Math.ceil(found.hours * 60),
      jobs: found.jobs ?? "?",
      stage1: found.stages.stage1.measured ?? "?",
      stage2: found.stages.stage2.measured ?? "?",
    };
    element.textContent = figures[element.dataset.figure];
  }
  window.estimate = estimate; // for the tests

  // --- the builder --------------------------------------------------------------------------------------------

  const form = document.getElementById("builder-form");
  if (!form) return;
  const part = (name) => document.getElementById(`builder-${name}`);
  const control = (name) => document.getElementById(`f-${name}`);
  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  for (const kind of Object.values(facts.kinds)) kind.test = new RegExp(`^(?:${kind.pattern})$`);

  const given = () => {
    const values = {};
    for (const name of fields.keys()) {
      const value = control(name).value.trim();
      if (value !== "") values[name] = value;
    }
    return values;
  };

  // --- checks, the same as those of the scripts ---------------------------------------------------------------

  const listed = (values, name) => Math.floor((valueOf(values, name).match(/'/g) || []).length / 2);

  const kindOf = (values, name) => {
    const mirror = values.HF_ENDPOINT && values.HF_ENDPOINT.replace(/\/$/, "") !== facts.endpoint;
    return facts.kinds[name === "HF_TOKEN" && mirror ? "mirror_token" : fields.get(name).kind];
  };

  const check = (values) => {
    const wrong = new Map();
    for (const [name, value] of Object.entries(values)) {
      const kind = kindOf(values, name);
      if (!kind.test.test(value)) wrong.set(name, `${words.must_be} ${kind.words}`);
      else if (name !== "HF_TOKEN" && /^hf_[A-Za-z0-9]{30}/.test(value)) wrong.set(name, words.no_token);
      else if (/^[^[]*[^\t -~][^[]*$/.test(value.split("#")[0]) || value.includes("\0")) wrong.set(name, words.odd_character);
      else if (/[;,]$/.test(value)) wrong.set(name, words.last_character);
      else if (value.includes('"') && value.includes("'")) wrong.set(name, words.quotes);
    }
    if ((values.HF_TOKEN || "").startsWith("hf_your")) wrong.set("HF_TOKEN", words.placeholder);
    if (values.ENV_TOOL === "uv" && values.CONDA_MODULE) wrong.set("ENV_TOOL", words.two_tools);
    for (const stage of ["STAGE1", "STAGE2"]) {
      const lengths = ["IMAGE", "MASK", "PROMPT"].map((each) => listed(values, `${stage}_VALIDATION_${each}`));
      if (new Set(lengths).size > 1) wrong.set(`${stage}_VALIDATION_IMAGE`, `${words.lists} (${lengths.join(", ")})`);
      for (const word of (values[`${stage}_EXTRA_ARGS`] || "").split(/\s+/).filter((each) => each.startsWith("--"))) {
        const flag = facts.flags.find((each) => `--${each}`.startsWith(word.split("=")[0])); // argparse completes it
        if (flag) wrong.set(`${stage}_EXTRA_ARGS`, fill(words.own_variable, { flag: `--${flag}` }));
      }
    }
    return wrong;
  };

  // --- the file --------------------------------------------------------------------------------------------

  const quoted = (value) => {
    if (/^[^\s"'#]+$/.test(value)) return value;
    return value.includes('"') ? `'${value}'` : `"${value}"`;
  };

  const write = (values) => {
    const token = fields.get("HF_TOKEN").shown;
    const lines = [`HF_TOKEN=${quoted(values.HF_TOKEN || token)}`, `TRAIN_VERSION=${versionOf(values)}`];
    let group = "edits";
    for (const [name, field] of fields) {
      if (field.group === "edits" || !(name in values)) continue;
      if (field.group !== group) lines.push("", `# -- ${facts.groups[field.group]}`);
      group = field.group;
      lines.push(`${name}=${quoted(values[name])}`);
    }
    return `${lines.join("\n")}\n`;
  };

  // A token is kept out of the history of bash.
  const shellBlock = (file, secret) => {
    const lines = ["(umask 077 && cat >config.env.new <<'END_OF_CONFIG' && mv -f config.env.new config.env", `${file}END_OF_CONFIG`, ")"];
    const all = secret ? ["set +o history", ...lines, "set -o history"] : lines;
    return `${[...all, "bash setup_and_train.sbatch check"].join("\n")}\n`;
  };

  // A config.env that is pasted: its values, and what the scripts would refuse in it.
  const LINE = /^[ \t\v\f]*(?:export[ \t\v\f]+)?([A-Za-z_][A-Za-z0-9_]*)=(?:"([^"]*)"|'([^']*)'|([^ \t\v\f"'#]*))[ \t\v\f]*(?:#[^]*)?$/;
  const read = (text) => {
    const values = {}, refused = [];
    text.replace(/^\ufeff/, "").split(/\r?\n/).forEach((content, index) => {
      const line = index + 1;
      if (/^[ \t\v\f]*(#|$)/.test(content)) return;
      const match = LINE.exec(content);
      if (!match) refused.push(fill(words.read_syntax, { line }));
      else if (!fields.has(match[1])) refused.push(fill(words.read_unknown, { line, name: match[1] }));
      else if (match[1] in values) refused.push(fill(words.read_twice, { line, name: match[1] }));
      else values[match[1]] = (match[2] ?? match[3] ?? match[4]).trim();
    });
    if (values.HF_TOKEN === fields.get("HF_TOKEN").shown) values.HF_TOKEN = "";
    return { values, refused };
  };

  // --- the page ------------------------------------------------------------------------------------------------

  const sayHours = (values, found) => {
    if (found.hours === 0) return words.no_training;
    if (found.hours === null) return words.unmeasured;
    const hours = rounded(found.hours);
    const jobs = found.jobs === 1 ? words.one_job : found.jobs === Infinity ? words.too_short : words.several_jobs;
    const about = hours === 1 ? words.one_hour : fill(words.about_hours, { hours });
    return about + words.comma + fill(jobs, { jobs: found.jobs, gpu_hours: hours * gpusOf(values) });
  };

  const sayStage = (found, gpu) => {
    if (found.verdict === "no_training") return words.no_training;
    if (found.need === null) {
      const floor = fill(words.memory_floor, { floor: found.floor.toFixed(1) });
      return words[found.verdict] + words.semicolon + floor;
    }
    const need = fill(words.memory_need, { need: found.need, usable: usableOf(gpu) });
    const how = found.checkpointing ? words.checkpointing_on : words.checkpointing_off;
    const basis = found.measured === null ? words.memory_estimated : fill(words.memory_measured, { measured: found.measured });
    return need + words.colon + words[found.verdict] + words.semicolon + how + basis;
  };

  const showEstimates = (values) => {
    const gpu = Number(part("gpu").value);
    const found = estimate(values, gpu);
    const prompt = versionOf(values) === "prompt";
    const other = prompt ? estimate({ ...values, TRAIN_VERSION: "non-prompt" }, gpu) : found;
    const about = (text) => (prompt && text !== words.no_training ? words.unmeasured_prompt + text : text);
    const show = (name, text) => say(document.querySelector(`[data-estimate="${name}"]`), text);
    const disk = fill(words.about_gb, { gb: Math.round(found.disk) });
    show("disk", disk);
    show("time", about(sayHours(values, other)));
    for (const stage of ["stage1", "stage2"]) show(stage, about(sayStage(other.stages[stage], gpu)));
    const verdicts = Object.values(found.stages).map((each) => each.verdict);
    const verdict = ["fits_not", "unmeasured", "fits", "no_training"].find((each) => verdicts.includes(each));
    return [disk, words[verdict]].join(" · ");
  };

  const refresh = () => {
    const values = given();
    const wrong = check(values);
    for (const [name, field] of fields) {
      const input = control(name);
      say(document.getElementById(`e-${name}`), wrong.get(name) || "");
      if (wrong.has(name)) {
        input.setAttribute("aria-invalid", "true");
        for (let fold = input.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
      } else input.removeAttribute("aria-invalid");
      const byDefault = field.default[versionOf(values)];
      if (!byDefault) continue;
      if (input.tagName === "SELECT") say(input.options[0], words.by_default + words.colon + byDefault);
      else input.placeholder = words.by_default + words.colon + byDefault;
    }
    const file = write(values);
    part("output").textContent = file;
    part("shell").textContent = shellBlock(file, values.HF_TOKEN || values.WANDB_API_KEY);
    const problems = wrong.size ? fill(words.problems, { names: [...wrong.keys()].join(words.comma) }) : "";
    say(part("problems"), problems);
    for (const button of document.querySelectorAll("[data-copies], #builder-download")) button.disabled = wrong.size > 0;
    say(part("bar").firstElementChild, problems || `config.env · ${showEstimates(values)}`);
  };

  // A recipe sets its own lines; the next one puts back what they replaced, unless that was typed over.
  let ofRecipe = new Map();
  const applyRecipe = (recipe) => {
    for (const [name, { value, before }] of ofRecipe) if (control(name).value === value) control(name).value = before;
    const lines = Object.entries(recipe ? recipe.values : {});
    ofRecipe = new Map(lines.map(([name, value]) => [name, { value, before: control(name).value }]));
    const replaced = lines.filter(([name, value]) => ![value, ""].includes(control(name).value))
      .map(([name]) => `${name}=${control(name).value}`);
    for (const [name, value] of lines) control(name).value = value;
    if (recipe) part("gpu").value = String(recipe.gpu);
    const list = (all) => all.join(words.list_comma);
    say(part("recipe-set"), !recipe ? "" : [fill(words.recipe_sets, { lines: list(lines.map(([name, value]) => `${name}=${value}`)) }),
      ...(replaced.length ? [fill(words.recipe_replaces, { lines: list(replaced) })] : []), words.recipe_keeps].join(gap));
  };

  const startOver = () => {
    form.reset();
    ofRecipe = new Map();
    for (const name of ["recipe-set", "read-result"]) say(part(name), "");
  };

  const readPasted = () => {
    const { values, refused } = read(part("paste").value);
    startOver();
    for (const [name, value] of Object.entries(values)) {
      control(name).value = value;
      const shown = value.replace(/hf_\w+/g, "hf_***");
      if (control(name).value !== value) refused.push(`${name}=${shown}${words.colon}${words.must_be} ${kindOf(values, name).words}`);
    }
    say(part("read-result"), [fill(words.read_values, { count: Object.keys(values).length }), ...refused].join(gap));
    refresh();
  };

  form.addEventListener("input", refresh);
  part("gpu").addEventListener("input", refresh);
  part("recipe").addEventListener("input", (event) => {
    applyRecipe(facts.recipes[event.target.value]);
    refresh();
  });
  part("read-button").addEventListener("click", readPasted);
  part("reset").addEventListener("click", () => {
    startOver();
    refresh();
  });
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
      button.textContent = words.copied;
      setTimeout(() => { button.textContent = words.copy; }, 1500);
    });
  }
  part("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([part("output").textContent], { type: "text/plain" }));
    link.download = "config.env";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  startOver();
  refresh();
})();
