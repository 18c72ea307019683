c = get_config()  # noqa: F821 given by nbgrader

c.CourseDirectory.course_id = "local_representations"
c.Exchange.path_includes_course = True
c.Execute.timeout = 120
c.ClearSolutions.code_stub = {"python": "# write your answer here\nraise NotImplementedError()"}
c.ClearSolutions.text_stub = "*Write your answer here.*"
