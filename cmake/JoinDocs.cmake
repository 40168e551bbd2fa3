# Joins generated fragments into one page: cmake -Dtitle=… -Dfragments=a;b -Dpage=out.md -P JoinDocs.cmake
set(text "# ${title}\n\nGenerated from the sources by `ninja graft-doc`: edit those.\n")
foreach(fragment ${fragments})
  file(READ ${fragment} body)
  string(REGEX REPLACE "<!--[^>]*-->\n*" "" body "${body}")
  # A page has one title, ours: fragments go one level down.
  string(REGEX REPLACE "(^|\n)(#+ )" "\\1#\\2" body "${body}")
  string(REPLACE "[TOC]" "" body "${body}")
  string(REGEX REPLACE "[ \t]+\n" "\n" body "${body}")
  string(REGEX REPLACE "\n\n\n+" "\n\n" body "${body}")
  string(STRIP "${body}" body)
  string(APPEND text "\n${body}\n")
endforeach()
file(WRITE ${page} "${text}")
