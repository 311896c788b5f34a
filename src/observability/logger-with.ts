/** A logger whose lines all carry the same fields, beside their own. */
import type { LogFields, Logger } from './logger.ts';

export function loggerWith(logger: Logger, always: LogFields): Logger {
  const fieldsOf = (fields: LogFields | undefined): LogFields => ({ ...always, ...fields });
  return {
    debug: (message, fields) => logger.debug(message, fieldsOf(fields)),
    info: (message, fields) => logger.info(message, fieldsOf(fields)),
    warning: (message, fields) => logger.warning(message, fieldsOf(fields)),
    error: (message, fields) => logger.error(message, fieldsOf(fields)),
    critical: (message, fields) => logger.critical(message, fieldsOf(fields)),
    repeated: (message, fields) => logger.repeated(message, { ...always, ...fields }),
  };
}
