/** The paths of the jobs API. */
export const API_PATH = '/api/v1';
export const PROMPTS_PATH = `${API_PATH}/prompts`;
