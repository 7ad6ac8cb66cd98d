package com.example.decision;

import com.google.gson.Gson;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.logging.Formatter;
import java.util.logging.LogRecord;

/** Writes each log record, with the fields of a map that is its parameter, as one JSON object on a line. */
final class JsonLines extends Formatter {
    private final Gson gson = new Gson();

    @Override
    public String format(LogRecord record) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("time", record.getInstant().toString());
        line.put("level", record.getLevel().getName());
        line.put("msg", formatMessage(record));
        if (record.getParameters() != null && record.getParameters()[0] instanceof Map<?, ?> fields) {
            fields.forEach((name, value) -> line.put(name.toString(), value));
        }
        if (record.getThrown() != null) {
            line.put("error", record.getThrown().toString());
        }
        return gson.toJson(line) + "\n";
    }
}
