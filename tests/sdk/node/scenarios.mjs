// The real OpenAI SDK for Node. Usage: node scenarios.mjs BASE_URL. Prints what it saw, by scenario, as one JSON object.
import OpenAI, { APIError } from "openai";

const [baseURL] = process.argv.slice(2);
const model = "gpt-4.1-mini";
const messages = [{ role: "user", content: "Hello" }];

const client = (script, options = {}) =>
  new OpenAI({
    baseURL,
    apiKey: "sk-caller",
    maxRetries: 0,
    defaultHeaders: { "X-Prompt-Version": "pv_1", ...(script && { "X-Script": script }) },
    ...options,
  });

const collect = async (stream) => {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
};

const failure = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return {
      name: error.constructor.name,
      isApiError: error instanceof APIError,
      status: error.status,
      code: error.code,
      requestId: error.requestID,
      retryAfterMs: error.headers?.get("retry-after-ms"),
    };
  }
  return "no error";
};

const scenarios = {
  chat: () => client().chat.completions.create({ model, messages }),

  chatStream: async () => collect(await client().chat.completions.create({ model, messages, stream: true })),

  chatStreamWithUsage: async () =>
    collect(
      await client().chat.completions.create({
        model,
        messages,
        stream: true,
        stream_options: { include_usage: true },
      }),
    ),

  tools: async () => {
    const final = await client("tools").chat.completions.stream({ model, messages }).finalChatCompletion();
    return final.choices[0].message.tool_calls;
  },

  completions: () => client().completions.create({ model, prompt: "Hello" }),

  responses: async () => (await client().responses.create({ model, input: "Hello" })).output_text,

  responsesStream: async () => collect(await client().responses.create({ model, input: "Hello", stream: true })),

  embeddings: async () =>
    (await client().embeddings.create({ model, input: "Hello", encoding_format: "float" })).data[0].embedding,

  badRequest: () => failure(client("status:400").chat.completions.create({ model, messages })),

  rateLimit: () => failure(client("status:429").chat.completions.create({ model, messages })),

  retries: async () =>
    (await client("flaky", { maxRetries: 2 }).chat.completions.create({ model, messages })).choices[0].message.content,

  cancellation: async () => {
    const stream = await client("hang_after:3").chat.completions.create({ model, messages, stream: true });
    let seen = 0;
    for await (const _ of stream) {
      seen += 1;
      if (seen === 2) break;
    }
    return { seen, aborted: stream.controller.signal.aborted };
  },
};

const seen = {};
for (const [name, run] of Object.entries(scenarios)) seen[name] = await run();
console.log(JSON.stringify(seen));
